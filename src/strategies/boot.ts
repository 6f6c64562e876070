// A worker's start, at the end of which it can serve, or it is known why it cannot.
import { ExitCode, StartupError } from '../errors.js';
import { DiedYoung, type WorkerHandle } from '../worker/worker.js';

/** One that the system ends with a signal is started again, so often in all. */
const tries = 3;

/** @throws StartupError when it cannot be ready; it has ended then */
export async function boot(start: () => WorkerHandle): Promise<WorkerHandle> {
  for (let tried = 1; ; tried++) {
    const worker = start();
    try {
      await worker.ready;
      return worker;
    } catch (error) {
      const { wanted, signal } = await worker.exit;
      if (wanted || !(error instanceof DiedYoung)) throw error;
      // An exit of its own accord is the app's doing and would happen again; a signal may not.
      if (signal === null) throw endedLoading(error);
      if (tried === tries) {
        throw new StartupError(
          ExitCode.crashLoop,
          `worker ${worker.id} died ${tried} times before it was ready: ${error.message}; ` +
            'look at the memory limit and at native add-ons of the app',
        );
      }
    }
  }
}

export function endedLoading({ message }: DiedYoung): StartupError {
  return new StartupError(
    ExitCode.app,
    `the app ended the worker while it was loading: ${message} (does it call process.exit?)`,
  );
}
