// What answers were like: how many, how many of them a fault of the server, and how long they took, in so few numbers
// that an event loop can tell another of them ten times a second.

/** Plain data. */
export interface AnswerCount {
  readonly count: number;
  /** With a status of 500 or more. */
  readonly failed: number;
  /** How many took how long: four classes for each doubling, from `shortest` on. */
  readonly times: readonly number[];
}

/** Milliseconds; what is shorter counts as this. */
const shortest = 0.125;
const classes = 96;
const perDoubling = 4;

export class Answers {
  #count = 0;
  #failed = 0;
  #times = new Uint32Array(classes);

  /** @param ms milliseconds that it took */
  add(status: number, ms: number): void {
    this.#count++;
    if (status >= 500) this.#failed++;
    const place = Math.floor(perDoubling * Math.log2(Math.max(shortest, ms) / shortest));
    (this.#times[Math.min(classes - 1, place)] as number)++;
  }

  merge({ count, failed, times }: AnswerCount): void {
    this.#count += count;
    this.#failed += failed;
    for (const [i, more] of times.slice(0, classes).entries()) (this.#times[i] as number) += more;
  }

  get count(): number {
    return this.#count;
  }

  get failed(): number {
    return this.#failed;
  }

  /** Milliseconds within which 99 of 100 were answered, rounded up by at most a fifth; 0 for none. */
  get p99(): number {
    let left = Math.ceil(this.#count * 0.99);
    if (left === 0) return 0;
    const place = this.#times.findIndex((count) => {
      left -= count;
      return left <= 0;
    });
    return shortest * 2 ** ((place + 1) / perDoubling);
  }

  /** All so far, and begins anew; undefined when there were none. */
  take(): AnswerCount | undefined {
    if (this.#count === 0) return undefined;
    const taken = { count: this.#count, failed: this.#failed, times: [...this.#times] };
    this.#count = 0;
    this.#failed = 0;
    this.#times.fill(0);
    return taken;
  }
}
