// Counts the invalid messages of one worker and reports them: the first at once, further ones at most every ten seconds,
// because an app can send as many as it likes.
import { now } from '../clock.js';

/** Between two reports (milliseconds). */
const reportEveryMs = 10_000;

export class InvalidMessages {
  readonly #report: (count: number, type: string) => void;
  #count = 0;
  #lastType = '';
  #reportedAt = Number.NEGATIVE_INFINITY;

  /** @param report is given how many there were since its last call, and the type of the last one */
  constructor(report: (count: number, type: string) => void) {
    this.#report = report;
  }

  add(type: string): void {
    this.#count++;
    this.#lastType = type;
    if (now() - this.#reportedAt >= reportEveryMs) this.flush();
  }

  /** Reports what has not been reported. */
  flush(): void {
    if (this.#count === 0) return;
    this.#report(this.#count, this.#lastType);
    this.#count = 0;
    this.#reportedAt = now();
  }
}
