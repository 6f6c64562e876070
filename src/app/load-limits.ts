// Fails the loading of an app that does not finish by itself: at the deadline, or on an uncaught exception. Never ends
// the process.
import { deferred } from '../deferred.js';
import { ExitCode, StartupError } from '../errors.js';

export type LoadLimits = ReturnType<typeof limitLoading>;

/** @param timeout milliseconds; 0 is no limit */
export function limitLoading(file: string, timeout: number) {
  let timer: NodeJS.Timeout | undefined;
  const { promise: failed, reject: fail } = deferred<never>();
  const onUncaught = (error: Error): void => {
    if (process.listenerCount('uncaughtException') === 1) fail(error); // otherwise the app handles them itself
  };
  process.on('uncaughtException', onUncaught);
  const limits = {
    /**
     * Rejects at the deadline, or with an uncaught exception, which would otherwise end the process without an
     * explanation.
     */
    failed,
    /** The progress of the app, for the error at the deadline. */
    progress: 'its module is still loading',
    stop(): void {
      clearTimeout(timer);
      process.off('uncaughtException', onUncaught);
    },
  };
  const onDeadline = (): void => {
    const message = `the app ${file} was not ready within ${timeout} ms (--boot-timeout): ${limits.progress}`;
    fail(new StartupError(ExitCode.app, message));
  };
  if (timeout > 0) timer = setTimeout(onDeadline, timeout);
  return limits;
}
