// Limits how many processes start at the same time, each for a connection that waits for it. When all of a crowd start at
// once, each takes as long as all of them together: the first client waits as long as the last one, and on a slow machine
// none is ready within --boot-timeout. Those that start wait for their turn instead, first come, first served.
import { availableParallelism } from 'node:os';

/** For each processor so many starts that compute all the time, so that it has something to do while one waits. */
const startsPerProcessor = 4;

/** Of how much of the last starts is known (from 0 to 1): the rest is the latest one's. */
const memory = 0.75;

export class StartLimiter {
  readonly #processors: number;
  readonly #waiting: (() => void)[] = [];
  #starting = 0;
  /** The share of its start in which one has wanted a processor, from 0 to 1. An app may also wait, for a database. */
  #busyShare = 1;
  #isClosed = false;

  constructor(processors = availableParallelism()) {
    this.#processors = processors;
  }

  /** Settles when it is the caller's turn. Each call is followed by one of `ended`. */
  async turn(): Promise<void> {
    if (!this.#isClosed && this.#starting >= this.#limit) {
      await new Promise<void>((granted) => this.#waiting.push(granted)); // counted by who grants it
      return;
    }
    this.#starting++;
  }

  /** A start has ended, well or not. @param busyShare as far as it is known */
  ended(busyShare?: number): void {
    this.#starting--;
    if (busyShare !== undefined) this.#busyShare = memory * this.#busyShare + (1 - memory) * Math.min(1, busyShare);
    this.#grant();
  }

  /** Nobody has to wait any more. */
  close(): void {
    this.#isClosed = true;
    this.#grant();
  }

  #grant(): void {
    while (this.#waiting.length > 0 && (this.#isClosed || this.#starting < this.#limit)) {
      this.#starting++;
      this.#waiting.shift()?.();
    }
  }

  get #limit(): number {
    return Math.ceil((startsPerProcessor * this.#processors) / Math.max(this.#busyShare, 0.01));
  }
}
