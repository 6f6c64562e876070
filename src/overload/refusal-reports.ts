// Counts refused requests, and reports each reason rarely, as `RareReport` does, but in memory that all event loops of a
// server share: where each connection has a worker of its own, clients would otherwise cause a line of the log each time.
import { head, type Refusal, refusals } from './layout.js';
import { type Now, type SlotTable, timeWord } from './slots.js';

/** Each reason is reported this often at most (milliseconds). */
const reportEveryMs = 10_000;

export class RefusalReports {
  readonly #words: Int32Array;
  readonly #now: Now;

  constructor({ words }: SlotTable, now: Now) {
    this.#now = now;
    this.#words = words;
  }

  /** @returns the number of refusals to report; 0 if none is to be reported now */
  add(reason: Refusal): number {
    const index = refusals.indexOf(reason);
    const at = head.reportedAt + index;
    Atomics.add(this.#words, head.refused + index, 1);
    const reportedAt = Atomics.load(this.#words, at);
    const time = timeWord(this.#now());
    if (reportedAt !== 0 && (time - reportedAt) >>> 0 < reportEveryMs) return 0;
    // Another event loop that reports at the same time counts this one.
    if (Atomics.compareExchange(this.#words, at, reportedAt, time) !== reportedAt) return 0;
    return Atomics.exchange(this.#words, head.refused + index, 0);
  }
}
