// Has one event loop of the server report that the store is down, and one that it is back, whatever the others see: a word of
// shared memory says since when it is down.
export class Outage {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #now: () => number;
  readonly #onBegan: (reason: string) => void;
  readonly #onEnded: (ms: number) => void;

  /** @param now milliseconds, on a clock that is the same for all processes */
  constructor(
    words: Int32Array,
    at: number,
    now: () => number,
    onBegan: (reason: string) => void,
    onEnded: (ms: number) => void,
  ) {
    this.#words = words;
    this.#at = at;
    this.#now = now;
    this.#onBegan = onBegan;
    this.#onEnded = onEnded;
  }

  began(reason: string): void {
    if (Atomics.compareExchange(this.#words, this.#at, 0, this.#now() | 0 || 1) === 0) this.#onBegan(reason);
  }

  /** Also if it was not down for this event loop: the one that reported it may have ended. */
  ended(): void {
    if (this.#words[this.#at] === 0) return;
    const since = Atomics.exchange(this.#words, this.#at, 0);
    if (since !== 0) this.#onEnded(((this.#now() | 0) - since) >>> 0);
  }
}
