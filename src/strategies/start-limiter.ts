// Limits how many workers start at the same time for clients that wait. If all started at once, each would take as long as
// all together: the first client would wait as long as the last, and on a slow machine none would be ready within
// --boot-timeout. So starts queue, first come, first served.
import { availableParallelism } from 'node:os';

/** Starts for each processor, if they compute all the time: one computes while another waits. */
const startsPerProcessor = 4;

/** The weight of earlier starts in what is known of them (from 0 to 1). */
const memory = 0.75;

export class StartLimiter {
  readonly #processors: number;
  readonly #waiting: (() => void)[] = [];
  #starting = 0;
  /** The part of its start in which a worker wants a processor, from 0 to 1: an app may also wait, say for a database. */
  #busyShare = 1;
  #isClosed = false;

  constructor(processors = availableParallelism()) {
    this.#processors = processors;
  }

  /** Settles when the caller may start a worker. Each call is followed by one of `ended`. */
  turn(): Promise<void> {
    return new Promise((granted) => {
      this.#waiting.push(granted);
      this.#grant();
    });
  }

  /** A start has ended, well or not. @param busyShare as far as it is known */
  ended(busyShare?: number): void {
    this.#starting--;
    if (busyShare !== undefined) this.#busyShare = memory * this.#busyShare + (1 - memory) * Math.min(1, busyShare);
    this.#grant();
  }

  /** From now on nothing waits. */
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
