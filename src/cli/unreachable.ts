// Where the control socket of a server is, and why no server can be reached there, as the user is told.
import { origin, type Source } from '../config/source.js';
import type { Unreachable } from '../control/client.js';
import { configError, ExitCode, StartupError } from '../errors.js';
import type { Call } from './call.js';

const reasons: Readonly<Record<string, (command: string) => string>> = {
  ENOENT: () => 'no such socket; is the server running, and was it started with this --control?',
  ECONNREFUSED: () => 'connection refused; the server has exited without removing its socket',
  EACCES: (command) => `permission denied; the socket belongs to another user, so run ${command} as that user`,
  ENOTSOCK: () => 'not a socket',
};

/** @param command that the user has run: `mpserve ctl` */
export function unreachable(
  { code = '', message }: Unreachable,
  command: string,
  socketPath: string,
  source: Source,
): StartupError {
  const reason = reasons[code]?.(command) ?? message;
  return new StartupError(ExitCode.boot, `cannot reach a server at ${socketPath} (${origin(source)}): ${reason}`);
}

/** @throws StartupError without a configured control socket */
export async function locate({ locateControl }: Call, command: string): Promise<readonly [path: string, Source]> {
  const { path, source } = await locateControl();
  if (path !== undefined) return [path, source];
  throw configError(
    `no control socket configured; start the server with --control PATH, and give ${command} the same --control, MPSERVE_CONTROL or configuration file`,
  );
}
