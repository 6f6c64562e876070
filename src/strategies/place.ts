// A place in a pool: a number of workers that follow one another. It outlives its workers.
import { BackOff } from '../back-off.js';
import type { EndReason } from '../reports/exit-cause.js';
import type { Worker } from '../worker/worker.js';

export interface Place {
  readonly id: number;
  backOff: BackOff;
  /** The worker that serves. */
  worker: Worker | undefined;
  /** The worker that starts, to take the place. */
  next: Worker | undefined;
  /** Until a worker may be started here again. */
  retry: NodeJS.Timeout | undefined;
  /** An operation that wants a new worker here, and waits for it. */
  change: Change | undefined;
}

/** An operation that wants a new worker in a place. */
export interface Change {
  /** Why the worker that has the place ends. */
  readonly reason: EndReason;
  readonly start: () => Worker;
  /** Called when the new worker is ready, before it takes the place. @throws Error when it must not */
  readonly approve: (worker: Worker) => Promise<void>;
  /** @param isDone false when the place was given up meanwhile */
  readonly settle: (isDone: boolean) => void;
  readonly fail: (error: Error) => void;
}

export function vacancy(id: number): Place {
  return { id, backOff: new BackOff(), worker: undefined, next: undefined, retry: undefined, change: undefined };
}

/** The lowest number that no place has. */
export function freeId(places: readonly Place[]): number {
  const taken = new Set(places.map(({ id }) => id));
  let id = 1;
  while (taken.has(id)) id++;
  return id;
}

export function loadOf({ worker }: Place): number {
  return worker?.load ?? 0;
}
