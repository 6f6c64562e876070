// The start of a worker as its host sees it: ready in time, or a `StartupError` that says why not.
import { now } from '../clock.js';
import { deferred } from '../deferred.js';
import { ExitCode, StartupError } from '../errors.js';

/** A worker that blocks its event loop while it loads the app is killed this long after --boot-timeout (milliseconds). */
const bootGraceMs = 1500;

export class StartUp {
  readonly #ready = deferred<void>();
  /** Settles when the worker can serve; rejects with a `StartupError`, also when the worker ends before. */
  readonly ready = this.#ready.promise;
  readonly #late: NodeJS.Timeout;
  #isOver = false;
  #readyAt: number | undefined;

  /**
   * @param bootMs that the worker has, in milliseconds
   * @param kill called when it blocks its event loop for longer
   */
  constructor(bootMs: number, kill: () => void) {
    this.ready.catch(() => {}); // also when nothing waits for it
    this.#late = setTimeout(() => {
      const message = `the app did not load within ${bootMs} ms (--boot-timeout): it blocks the event loop of its worker`;
      this.#ready.reject(new StartupError(ExitCode.app, message));
      kill();
    }, bootMs + bootGraceMs);
  }

  /** Milliseconds since the worker was ready; undefined if it never was. */
  get readyMs(): number | undefined {
    return this.#readyAt === undefined ? undefined : now() - this.#readyAt;
  }

  /** The worker says that it can serve. @returns false when it has said so before, or that it cannot */
  succeeded(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    clearTimeout(this.#late);
    this.#readyAt = now();
    this.#ready.resolve();
    return true;
  }

  /** The worker says that it cannot serve. */
  failed(error: StartupError): void {
    this.#isOver = true;
    this.#ready.reject(error);
  }

  /** The worker has ended. */
  workerEnded(reason: string, signal: NodeJS.Signals | null): void {
    clearTimeout(this.#late);
    this.#ready.reject(new DiedYoung(reason, signal));
  }
}

/** A worker ended before it was ready and did not say why. */
export class DiedYoung extends StartupError {
  constructor(
    readonly reason: string,
    readonly signal: NodeJS.Signals | null,
  ) {
    super(ExitCode.app, `the app ended the worker while it was loading: ${reason} (does it call process.exit?)`);
  }
}
