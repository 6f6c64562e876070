// Counts what another process can cause as often as it likes, and reports it rarely: the first at once, further ones
// together, an interval later.
import { now } from './clock.js';

export class RareReport<T> {
  readonly #everyMs: number;
  readonly #report: (count: number, last: T) => void;
  #count = 0;
  #last: T | undefined;
  #reportedAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  /** @param report is given how many there were since its last call, and what is known of the last one */
  constructor(everyMs: number, report: (count: number, last: T) => void) {
    this.#everyMs = everyMs;
    this.#report = report;
  }

  add(last: T): void {
    this.#count++;
    this.#last = last;
    const leftMs = this.#reportedAt + this.#everyMs - now();
    if (leftMs <= 0) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), leftMs).unref();
  }

  /** Reports what has not been reported. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#count === 0) return;
    this.#report(this.#count, this.#last as T);
    this.#count = 0;
    this.#reportedAt = now();
  }
}
