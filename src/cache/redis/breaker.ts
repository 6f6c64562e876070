// A circuit breaker: after some failures in a row it says that the store is left alone for a while, then that one may try. The
// while grows as long as that fails.

export interface BreakerOptions {
  /** Milliseconds. */
  readonly now: () => number;
  /** In a row. */
  readonly maxFailures?: number;
  readonly pauseMs?: number;
  readonly maxPauseMs?: number;
  /** From 0 to 1: all event loops would try at the same time otherwise. */
  readonly random?: () => number;
}

export class Breaker {
  readonly #options: Required<BreakerOptions>;
  #failures = 0;
  /** Of the last pause, and when it ends; 0 while it is closed. */
  #pauseMs = 0;
  #until = 0;

  constructor(options: BreakerOptions) {
    this.#options = { maxFailures: 5, pauseMs: 1000, maxPauseMs: 30_000, random: Math.random, ...options };
  }

  get isOpen(): boolean {
    return this.#pauseMs > 0;
  }

  /** Milliseconds until one may try. */
  get waitMs(): number {
    return this.isOpen ? Math.max(0, this.#until - this.#options.now()) : 0;
  }

  /** While it is open, true for one after each pause. */
  allows(): boolean {
    if (!this.isOpen) return true;
    if (this.waitMs > 0) return false;
    // If that one tells nothing, another one may after as long a pause.
    this.#pause(this.#pauseMs);
    return true;
  }

  /** @returns whether it has opened now */
  failed(): boolean {
    if (this.isOpen) {
      this.#pause(Math.min(2 * this.#pauseMs, this.#options.maxPauseMs));
      return false;
    }
    if (++this.#failures < this.#options.maxFailures) return false;
    return this.open();
  }

  /** @returns whether it has opened now */
  open(): boolean {
    if (this.isOpen) {
      this.failed();
      return false;
    }
    this.#pause(this.#options.pauseMs);
    return true;
  }

  /** @returns whether it was open */
  succeeded(): boolean {
    const wasOpen = this.isOpen;
    this.#failures = 0;
    this.#pauseMs = 0;
    return wasOpen;
  }

  #pause(ms: number): void {
    this.#pauseMs = ms;
    this.#until = this.#options.now() + ms * (0.75 + this.#options.random() / 2);
  }
}
