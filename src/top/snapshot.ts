// What a look at the server has found.
import { ask } from '../control/client.js';
import type { Status, WorkerStatus } from '../control/protocol.js';

export interface Snapshot {
  /** On the clock of `clock.ts`. */
  readonly at: number;
  readonly status: Status;
  readonly workers: readonly WorkerStatus[];
}

/** @throws Unreachable */
export async function takeSnapshot(socketPath: string, clock: () => number): Promise<Snapshot> {
  const [status, workers] = await Promise.all([
    ask<Status>(socketPath, 'status'),
    ask<readonly WorkerStatus[]>(socketPath, 'workers'),
  ]);
  return { at: clock(), status, workers };
}
