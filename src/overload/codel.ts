// CoDel (RFC 8289): decides which requests of a queue to drop, by how long each has waited. A queue that empties now and
// then absorbs a burst; one in which every request waits for longer than the target for an interval is too long. From then
// on CoDel drops requests ever more often, until a request waits for less. It drops none by itself and has no timer.

/** The numbers of its state, `codelNumbers` of them. All event loops of a server share it: they serve one queue together. */
const state = { firstAboveAt: 0, dropAt: 1, count: 2, lastCount: 3, isDropping: 4 } as const;

/** After this many intervals without drops the rate of drops starts over (RFC 8289, section 5.5). */
const forgetIntervals = 16;

export class CoDel {
  readonly #state: Float64Array;
  readonly #targetMs: number;
  readonly #intervalMs: number;

  /**
   * @param numbers `codelNumbers` or more of them, zeros at first. Two loops that write at the same time lose a drop at most.
   * @param targetMs the wait that is acceptable for long. @param intervalMs for how long all may wait longer
   */
  constructor(numbers: Float64Array, targetMs: number, intervalMs: number) {
    this.#state = numbers;
    this.#targetMs = targetMs;
    this.#intervalMs = intervalMs;
  }

  /**
   * Call for each request that leaves the queue. @param waitedMs for how long it has waited
   * @param isLast no request waits behind it. @returns whether to drop it
   */
  drops(waitedMs: number, now: number, isLast: boolean): boolean {
    const numbers = this.#state;
    const isTooLong = this.#isTooLong(waitedMs, now, isLast);
    if (!isTooLong) numbers[state.isDropping] = 0;
    else if (numbers[state.isDropping] === 0) {
      this.#begin(now);
      return true;
    } else if (now >= this.#get('dropAt')) {
      numbers[state.count] = this.#get('count') + 1;
      numbers[state.dropAt] = this.#get('dropAt') + this.#spacingMs;
      return true;
    }
    return false;
  }

  /** All have waited longer than the target for an interval. */
  #isTooLong(waitedMs: number, now: number, isLast: boolean): boolean {
    if (waitedMs < this.#targetMs || isLast) {
      this.#state[state.firstAboveAt] = 0;
      return false;
    }
    const since = this.#get('firstAboveAt');
    if (since === 0) this.#state[state.firstAboveAt] = now;
    return since !== 0 && now - since >= this.#intervalMs;
  }

  /** At the rate of last time, if that was not long ago. */
  #begin(now: number): void {
    const numbers = this.#state;
    const added = this.#get('count') - this.#get('lastCount');
    const isRecent = now - this.#get('dropAt') < forgetIntervals * this.#intervalMs;
    numbers[state.count] = isRecent && added > 1 ? added : 1;
    numbers[state.lastCount] = this.#get('count');
    numbers[state.dropAt] = now + this.#spacingMs;
    numbers[state.isDropping] = 1;
  }

  get #spacingMs(): number {
    return this.#intervalMs / Math.sqrt(Math.max(1, this.#get('count')));
  }

  #get(name: keyof typeof state): number {
    return this.#state[state[name]] ?? 0;
  }
}
