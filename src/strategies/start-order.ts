// When a spare worker may start that is for a migrated connection. Each start takes a processor for a while, and clients
// that wait for a worker of their own go first: a connection that is about to migrate is still served.
import { availableParallelism } from 'node:os';
import { now } from '../clock.js';

/** Spares that start at the same time: half of the processors, so that the others go on serving. */
export const startsAtOnce = Math.max(1, Math.floor(availableParallelism() / 2));

/** How long the first spare waits at most (milliseconds). */
const firstWaitMs = 100;

export class StartOrder {
  readonly #onMayStart: () => void;
  #waitingSince: number | undefined;
  #waiting: NodeJS.Timeout | undefined;
  #maxWaitMs = firstWaitMs;

  /** @param onMayStart called when a spare has waited for long enough */
  constructor(onMayStart: () => void) {
    this.#onMayStart = onMayStart;
  }

  /**
   * Whether a spare may start now. Clients may never stop coming, so it may also when it has waited for as long as the last
   * start took.
   * @param starting workers that are starting
   * @param isUrgent the connections have little time left to migrate
   */
  mayStart(starting: number, isUrgent: boolean): boolean {
    const time = now();
    this.#waitingSince ??= time;
    const may = isUrgent || starting < startsAtOnce || time - this.#waitingSince >= this.#maxWaitMs;
    if (may) this.reset();
    else {
      this.#waiting ??= setTimeout(() => {
        this.#waiting = undefined;
        this.#onMayStart();
      }, this.#maxWaitMs).unref();
    }
    return may;
  }

  /** A worker has started, in this many milliseconds. */
  started(ms: number): void {
    this.#maxWaitMs = ms;
  }

  /** No spare waits any more. */
  reset(): void {
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
    this.#waitingSince = undefined;
  }
}
