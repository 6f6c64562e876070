// Whose turn it is to start a process or a thread, each of which takes a processor for a while. Clients who wait for one of
// their own go first. Who is served meanwhile, as his connection is about to change hands, can wait.
import { availableParallelism } from 'node:os';
import { now } from '../clock.js';

/** So many can start at once without taking the processors from all others. */
export const atOnce = Math.max(1, Math.floor(availableParallelism() / 2));

/** So long the first one waits at most (milliseconds). */
const first = 100;

export class Turn {
  readonly #onTurn: () => void;
  #since: number | undefined;
  #waiting: NodeJS.Timeout | undefined;
  #tookMs = first;

  /** @param onTurn called when it has waited long enough; whoever hears that one has started should ask again, too */
  constructor(onTurn: () => void) {
    this.#onTurn = onTurn;
  }

  /**
   * As there may be clients without end, it has its turn also when it has waited for as long as the last one took.
   * @param starting how many are
   * @param isUrgent those who are served meanwhile have little time left
   */
  has(starting: number, isUrgent: boolean): boolean {
    const time = now();
    this.#since ??= time;
    const isTurn = isUrgent || starting < atOnce || time - this.#since >= this.#tookMs;
    if (isTurn) this.pass();
    else this.#waiting ??= setTimeout(() => this.#ask(), this.#tookMs).unref();
    return isTurn;
  }

  /** One has started in so many milliseconds. */
  took(ms: number): void {
    this.#tookMs = ms;
  }

  /** It is not wanted any more. */
  pass(): void {
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
    this.#since = undefined;
  }

  #ask(): void {
    this.#waiting = undefined;
    this.#onTurn();
  }
}
