// What ends the loading of an app that neither fails nor gets ready by itself: the deadline, and errors that nobody
// catches. It never ends the process.
import { ExitCode, StartupError } from '../errors.js';

export interface LoadLimits {
  /** Rejects at the deadline, or with an error that nobody catches, which would end the process unexplained. */
  readonly broken: Promise<never>;
  /** For the message at the deadline: how far the app has come. */
  found: string;
  release(): void;
}

/** `timeout` in milliseconds; 0 is no limit. */
export function limitLoading(file: string, timeout: number): LoadLimits {
  let timer: NodeJS.Timeout | undefined;
  let fail: (error: unknown) => void = () => {};
  const crashed = (error: unknown): void => {
    if (process.listenerCount('uncaughtException') === 1) fail(error); // else the app has its own way with them
  };
  process.on('uncaughtException', crashed);
  const limits: LoadLimits = {
    broken: new Promise<never>((_, reject) => {
      fail = reject;
    }),
    found: 'its module is still loading',
    release() {
      clearTimeout(timer);
      process.off('uncaughtException', crashed);
    },
  };
  const late = (): void => {
    const message = `the app ${file} was not ready within ${timeout} ms (--boot-timeout): ${limits.found}`;
    fail(new StartupError(ExitCode.app, message));
  };
  if (timeout > 0) timer = setTimeout(late, timeout);
  return limits;
}
