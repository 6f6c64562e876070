// Statistics of responses: how many, how many failed, and a histogram of their times. Small enough to be sent between
// processes ten times a second.

/** Plain data. */
export interface ResponseCounts {
  readonly count: number;
  /** With a status of 500 or more. */
  readonly failed: number;
  /** Responses per bucket of the histogram. */
  readonly times: readonly number[];
}

/** Upper bound of the fastest responses. */
const minMs = 0.125;
const buckets = 96;
const bucketsPerDoubling = 4;

export class ResponseStats {
  #count = 0;
  #failed = 0;
  #times = new Uint32Array(buckets);

  /** @param ms from the request to the end of its response */
  add(status: number, ms: number): void {
    this.#count++;
    if (status >= 500) this.#failed++;
    (this.#times[bucketOf(ms)] as number)++;
  }

  merge({ count, failed, times }: ResponseCounts): void {
    this.#count += count;
    this.#failed += failed;
    for (const [i, more] of times.slice(0, buckets).entries()) (this.#times[i] as number) += more;
  }

  get count(): number {
    return this.#count;
  }

  get failed(): number {
    return this.#failed;
  }

  /** The 99th percentile in milliseconds, too high by at most a fifth; 0 without responses. */
  get p99(): number {
    let left = Math.ceil(this.#count * 0.99);
    if (left === 0) return 0;
    const bucket = this.#times.findIndex((count) => {
      left -= count;
      return left <= 0;
    });
    return beginOf(bucket + 1);
  }

  /** Responses in buckets that begin at `ms` or above: of those that took longer, some within a fifth of it are missing. */
  slowerThan(ms: number): number {
    return this.#times.reduce((sum, count, bucket) => (beginOf(bucket) < ms ? sum : sum + count), 0);
  }

  /** Returns the counts and resets them; undefined if there are none. */
  take(): ResponseCounts | undefined {
    if (this.#count === 0) return undefined;
    const taken = { count: this.#count, failed: this.#failed, times: [...this.#times] };
    this.#count = 0;
    this.#failed = 0;
    this.#times.fill(0);
    return taken;
  }
}

function bucketOf(ms: number): number {
  return Math.min(buckets - 1, Math.floor(bucketsPerDoubling * Math.log2(Math.max(minMs, ms) / minMs)));
}

/** Where a bucket begins, and the one before it ends (milliseconds). */
function beginOf(bucket: number): number {
  return minMs * 2 ** (bucket / bucketsPerDoubling);
}
