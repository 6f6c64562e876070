// Sheds the slowest connections where each connection has a worker of its own, which has to be asked.
import { slowestFirst } from './slowest.js';

export interface ConnectionWorker {
  /** Milliseconds that the worker has waited for its client; -1 if the app is busy, or without an answer in time. */
  idleFor(timeoutMs: number): Promise<number>;
  /** Closes the connection. */
  shed(): void;
}

/** A worker that does not answer within this time is busy. */
const answerTimeoutMs = 100;

/** @returns a function to call when the server is near its limit; does nothing while an earlier call is under way */
export function shedder(workers: () => Iterable<ConnectionWorker>): () => void {
  let isShedding = false;
  const shed = async (): Promise<void> => {
    const idle = [...workers()].map(async (worker) => [worker, await worker.idleFor(answerTimeoutMs)] as const);
    for (const worker of slowestFirst(await Promise.all(idle))) worker.shed();
    isShedding = false;
  };
  return () => {
    if (!isShedding) void shed();
    isShedding = true;
  };
}
