// The programming interface: starts a server as a child process, controls it over its control socket, and stops it. What
// it needs is loaded with the first server, because a configuration file imports this package, too.
import type { UserConfig } from '../config/user-config.js';
import type { ServeOptions, Server } from './server.js';

/**
 * Starts a server, and resolves when it is ready. It stops when this process exits. Relative paths start at the current
 * directory; `mpserve.config.*` there and the variables `MPSERVE_…` are read, too, and `config` overrides them. The log goes
 * to standard output, unless `logFile` or `logLevel: 'silent'` says otherwise.
 * @param config as in a configuration file, but `daemon`
 * @throws ServerError of the kind `start`, with the message of the command
 */
export async function serve(config: UserConfig = {}, options: ServeOptions = {}): Promise<Server> {
  const { start } = await import('./start.js');
  return start(config, options);
}
