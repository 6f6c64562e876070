// Starts a worker and waits until it can serve, or it is known why it cannot.
import { ExitCode, StartupError } from '../errors.js';
import { DiedYoung } from '../worker/start-up.js';
import type { Worker } from '../worker/worker.js';

/** A worker that the system ends with a signal is started again, up to so many times in all. */
const maxTries = 3;

/** @throws StartupError when it cannot be ready; it has ended then */
export async function boot(start: () => Worker): Promise<Worker> {
  for (let tried = 1; ; tried++) {
    const worker = start();
    try {
      await worker.ready;
      return worker;
    } catch (error) {
      const { isWanted } = await worker.exit;
      // An exit of its own accord is the app's doing and would happen again; a signal may not.
      if (!(error instanceof DiedYoung) || isWanted || error.signal === null) throw error;
      if (tried === maxTries) {
        throw new StartupError(
          ExitCode.crashLoop,
          `worker ${worker.id} died ${tried} times before it was ready: ${error.reason}; ` +
            'look at the memory limit and at native add-ons of the app',
        );
      }
    }
  }
}
