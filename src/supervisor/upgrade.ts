// An upgrade, in the server that is replaced: what its successor inherits, and for how long it may start.
import { type Config, readyTimeout } from '../config/config.js';
import { Refused } from '../control/refused.js';
import { type InheritedState, type Successor, startSuccessor } from './successor.js';

/** The time that a successor has to start, in addition to the time for its workers (milliseconds). */
const successorBootMs = 10_000;

export interface UpgradeOptions {
  readonly state: InheritedState;
  readonly config: Config;
  /** The environment variables of systemd. */
  readonly systemd: NodeJS.ProcessEnv;
  /** A program has started this server, which stops with it. */
  readonly endsWithProgram: boolean;
  /** Ends the upgrade, because this server is stopping. */
  readonly signal: AbortSignal;
}

/** Settles when the successor serves. @throws StartupError, Refused */
export async function upgrade({ state, config, systemd, endsWithProgram, signal }: UpgradeOptions): Promise<Successor> {
  if (process.pid === 1) {
    throw new Refused(
      'cannot upgrade the first process of a container, because the container ends with it; replace the container',
    );
  }
  if (endsWithProgram) {
    throw new Refused(
      'cannot upgrade a server that a program has started, because the new one would not stop with it; restart the program',
    );
  }
  const { loading, lifecycle } = config;
  const timeoutMs = readyTimeout(loading) + loading.bootTimeout + lifecycle.probation + successorBootMs;
  // systemd's watchdog waits for the main process, which the successor becomes.
  const { WATCHDOG_PID: _, ...variables } = systemd;
  return startSuccessor(state, { ...process.env, ...variables }, timeoutMs, signal);
}
