// The prover's handle of the client pool: starts the process and sends it commands.
import { fileURLToPath } from 'node:url';
import { LoadProcess } from '../testbed/load-process.js';
import type { Commands } from './client-pool-entry.js';

const entry = fileURLToPath(new URL('../prove/client-pool-entry.js', import.meta.url));

export class ClientPool extends LoadProcess<readonly unknown[]> {
  /** @param signal kills the process when aborted */
  constructor(signal: AbortSignal) {
    super(entry, (reason) => `the client pool exited (${reason})`, signal);
  }

  /** Settles when the pool has carried out the command. */
  call<N extends keyof Commands>(name: N, ...args: Parameters<Commands[N]>): Promise<Awaited<ReturnType<Commands[N]>>> {
    return this.ask([name, ...args]);
  }
}
