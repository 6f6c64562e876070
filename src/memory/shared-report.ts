// As `RareReport`, for all event loops of a server together: where each connection has a worker of its own, clients could
// otherwise cause a line of the log each time. Two 32-bit words: what has not been reported, and when the last report was.

export const reportWords = 2;

export class SharedReport<T> {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #everyMs: number;
  readonly #now: () => number;
  readonly #report: (count: number, last: T) => void;
  /** Of this event loop, not yet reported by it. */
  #last: T | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param at index of the first of its words, zeros at first
   * @param now milliseconds, on a clock that is the same for all processes
   * @param report is given how many there were since the last report of any event loop, and what is known of the last one
   */
  constructor(
    words: Int32Array,
    at: number,
    everyMs: number,
    now: () => number,
    report: (count: number, last: T) => void,
  ) {
    this.#words = words;
    this.#at = at;
    this.#everyMs = everyMs;
    this.#now = now;
    this.#report = report;
  }

  add(last: T): void {
    Atomics.add(this.#words, this.#at, 1);
    this.#last = last;
    this.#reportIfDue();
  }

  /** Reports what no event loop has reported, if this one has added to it. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const last = this.#last;
    this.#last = undefined;
    if (last === undefined) return;
    const count = Atomics.exchange(this.#words, this.#at, 0);
    if (count === 0) return; // another event loop has reported it
    Atomics.store(this.#words, this.#at + 1, this.#time);
    this.#report(count, last);
  }

  /** 0 is never. */
  get #time(): number {
    return this.#now() | 0 || 1;
  }

  #reportIfDue(): void {
    const reportedAt = this.#at + 1;
    const before = Atomics.load(this.#words, reportedAt);
    const time = this.#time;
    const sinceMs = (time - before) >>> 0;
    if (before !== 0 && sinceMs < this.#everyMs) {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        if (this.#last !== undefined) this.#reportIfDue();
      }, this.#everyMs - sinceMs).unref();
      return;
    }
    // Another event loop that reports at the same time counts this one.
    if (Atomics.compareExchange(this.#words, reportedAt, before, time) === before) this.flush();
  }
}
