// Fails the loading of an app that does not finish by itself: at the deadline, or on an uncaught exception. Never ends
// the process.
import { deferred } from '../deferred.js';
import { ExitCode, StartupError } from '../errors.js';

export type LoadLimits = ReturnType<typeof limitLoading>;

/** Listeners of mpserve for uncaught exceptions. */
let ownListeners = 0;

/** Whether the app handles uncaught exceptions itself, so that they do not end it. */
export function appHandlesUncaught(): boolean {
  return process.listenerCount('uncaughtException') > ownListeners || process.hasUncaughtExceptionCaptureCallback();
}

/** @param timeout milliseconds; 0 is no limit */
export function limitLoading(file: string, timeout: number) {
  let timer: NodeJS.Timeout | undefined;
  const { promise: failed, reject: fail } = deferred<never>();
  const onUncaught = (error: Error): void => {
    if (!appHandlesUncaught()) fail(error);
  };
  process.on('uncaughtException', onUncaught);
  ownListeners = 1;
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
      ownListeners = 0;
    },
  };
  const onDeadline = (): void => {
    const message = `the app ${file} was not ready within ${timeout} ms (--boot-timeout): ${limits.progress}`;
    fail(new StartupError(ExitCode.app, message));
  };
  if (timeout > 0) timer = setTimeout(onDeadline, timeout);
  return limits;
}
