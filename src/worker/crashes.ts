// Finds the uncaught exceptions that end this worker or thread. One that the app handles itself does not, unless the app
// ends itself with a failure soon afterwards, as handlers do that have logged it.
import { appHandlesUncaught } from '../app/load-limits.js';
import { now } from '../clock.js';
import { type ErrorRecord, errorRecord } from '../errors.js';

/** What a handler still does before it ends the app, such as closing the server, takes at most so long (milliseconds). */
const maxHandlingMs = 60_000;

export class Crashes {
  readonly #tell: (err: ErrorRecord) => void;
  /** The last exception that the app has handled. */
  #handled: { readonly err: ErrorRecord; readonly at: number } | undefined;

  constructor(tell: (err: ErrorRecord) => void) {
    this.#tell = tell;
  }

  watch(): void {
    process.on('uncaughtExceptionMonitor', (error) => {
      const err = errorRecord(error);
      if (appHandlesUncaught()) this.#handled = { err, at: now() };
      else this.#tell(err);
    });
    process.on('exit', (code) => {
      const handled = this.#handled;
      if (code !== 0 && handled && now() - handled.at <= maxHandlingMs) this.#tell(handled.err);
    });
  }

  /** The worker is told to end, so that the app ends itself does not come from an exception before. */
  forget(): void {
    this.#handled = undefined;
  }
}
