// How many connections are open. Event loops count those that begin and end, but one that is killed never counts the end of
// those it had: the difference is corrected when event loops tell how many they have.
import type { WorkerStatus } from '../control/protocol.js';
import type { Counts } from '../metrics/totals.js';

export class OpenConnections {
  #counted = 0;
  /** Of killed event loops. */
  #lost = 0;

  read({ opened, closed }: Counts): number {
    this.#counted = (opened[0] ?? 0) - (closed[0] ?? 0);
    return Math.max(0, this.#counted - this.#lost);
  }

  /** A thread with `count` connections has died. */
  lose(count: number): void {
    this.#lost += count;
  }

  /** @param workers all of the server, right after a `read` */
  correct(workers: readonly WorkerStatus[]): void {
    if (workers.some(({ loops, stage }) => loops.length === 0 && stage !== 'starting')) return;
    const loops = workers.flatMap((worker) => worker.loops);
    if (loops.some(({ state }) => state === 'blocked')) return;
    this.#lost = this.#counted - loops.reduce((all, { connections }) => all + connections, 0);
  }
}
