// As `RareReport`, for all event loops of a server together: where each connection has a worker of its own, clients could
// otherwise cause a line of the log each time. Two 32-bit words: what has not been reported, and when the last report was.

export const reportWords = 2;

export class SharedReport<T> {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #everyMs: number;
  readonly #now: () => number;
  readonly #report: (count: number, last: T) => void;

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
    const [count, reportedAt] = [this.#at, this.#at + 1];
    Atomics.add(this.#words, count, 1);
    const before = Atomics.load(this.#words, reportedAt);
    const time = this.#now() | 0 || 1; // 0 is never
    if (before !== 0 && (time - before) >>> 0 < this.#everyMs) return;
    // Another event loop that reports at the same time counts this one.
    if (Atomics.compareExchange(this.#words, reportedAt, before, time) !== before) return;
    this.#report(Atomics.exchange(this.#words, count, 0), last);
  }
}
