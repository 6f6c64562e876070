// The prover's handle of the client pool: starts the process, sends it commands and reads its statistics.
import { fileURLToPath } from 'node:url';
import { LoadProcess } from '../testbed/load-process.js';
import type { ClientStats, OpenConnection, PoolCommand, Workload } from './messages.js';

const entry = fileURLToPath(new URL('../prove/client-pool-entry.js', import.meta.url));

export class ClientPool extends LoadProcess<PoolCommand> {
  /** @param signal kills the process when aborted */
  constructor(signal: AbortSignal) {
    super(entry, (reason) => `the client pool exited (${reason})`, signal);
  }

  /** Settles when the first request of each client has been answered or lost. */
  async start(workload: Workload): Promise<void> {
    await this.ask({ command: 'start', workload });
  }

  /** Returns the statistics since the last call. */
  stats(): Promise<ClientStats> {
    return this.ask({ command: 'stats' });
  }

  connections(): Promise<readonly OpenConnection[]> {
    return this.ask({ command: 'connections' });
  }

  /** Stops the clients, and waits for the requests in flight. Returns the statistics since the last call of `stats`. */
  finish(): Promise<ClientStats> {
    return this.ask({ command: 'finish' });
  }
}
