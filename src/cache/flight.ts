// A request to the app for which others wait that ask for the same (coalescing). They wait until its response is stored, and
// never get anything of one that may not be.

/**
 * `stored`: look again. `unshared`: the response is for its client alone, so each asks the app. `failed`: as that, unless a
 * stale one may be used. `gone`: the client has disconnected, so one of those that wait asks next. `late`: it takes long.
 */
export type Landing = 'stored' | 'unshared' | 'failed' | 'gone' | 'late';

/** The longest waiting one asks the app itself after this time, and then another one each time (milliseconds). */
const patienceMs = 5000;

export class Flight {
  #waiters: Set<(landing: Landing) => void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #landing: Landing | undefined;
  readonly #onLanded: ((landing: Landing) => void) | undefined;

  constructor(onLanded?: (landing: Landing) => void) {
    this.#onLanded = onLanded;
  }

  /** @returns a function that stops waiting */
  wait(landed: (landing: Landing) => void): () => void {
    this.#waiters ??= new Set();
    this.#waiters.add(landed);
    this.#timer ??= setInterval(() => this.#release(), patienceMs).unref();
    return () => void this.#waiters?.delete(landed);
  }

  /** Only the first call counts. */
  land(landing: Landing): void {
    if (this.#landing !== undefined) return;
    this.#landing = landing;
    clearInterval(this.#timer);
    this.#onLanded?.(landing);
    const waiters = this.#waiters ?? [];
    this.#waiters = undefined;
    for (const landed of waiters) landed(landing);
  }

  #release(): void {
    const [first] = this.#waiters ?? [];
    if (!first) return;
    this.#waiters?.delete(first);
    first('late');
  }
}
