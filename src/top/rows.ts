// The view model of the table: a row for each worker and, under it, for each of its threads. What is per second is the
// difference of two snapshots.
import { summaryOf, threadsOf } from '../control/loop-summary.js';
import type { WorkerStatus } from '../control/protocol.js';
import {
  connectedLoops,
  knownRequests,
  type LastRequest,
  type LoopView,
  type RequestView,
} from '../scoreboard/loop-view.js';
import type { Snapshot } from './snapshot.js';

/** What is not known is absent. */
export interface Row {
  readonly worker: number;
  readonly pid: number;
  /** Of the thread whose row it is; absent in the row of a worker. */
  readonly tid?: number;
  readonly generation: number;
  readonly stage: string;
  readonly state: string;
  /** Requests per second. */
  readonly rate?: number | undefined;
  readonly requests: number;
  readonly connections?: number | undefined;
  readonly inFlight?: number | undefined;
  readonly utilization?: number | undefined;
  readonly lagMs?: LoopView['lagMs'];
  readonly heapBytes?: number | undefined;
  readonly memoryBytes?: number | undefined;
  /** Processor time per time, where 1 is one processor. */
  readonly cpu?: number | undefined;
  readonly last?: LastRequest | undefined;
}

export interface WorkerRows {
  readonly worker: Row;
  readonly threads: readonly Row[];
}

/** @param previous an older snapshot of the same server; without it, nothing is known per second */
export function rowsOf(current: Snapshot, previous: Snapshot | undefined): readonly WorkerRows[] {
  const seconds = previous ? (current.at - previous.at) / 1000 : 0;
  const perSecond = (now: number | undefined, then: number | undefined): number | undefined =>
    now === undefined || then === undefined || seconds <= 0 || now < then ? undefined : (now - then) / seconds;
  const before = new Map(previous?.workers.map((one) => [`${one.worker} ${one.pid}`, one]));
  return current.workers.map((worker) => {
    const old = before.get(`${worker.worker} ${worker.pid}`);
    const { pid, generation, stage } = worker;
    const summary = summaryOf(worker.loops);
    const rateOf = ({ tid, requests }: LoopView): number | undefined =>
      perSecond(requests, old?.loops.find((one) => one.tid === tid)?.requests);
    const connected = connectedLoops(worker.loops);
    const threads = threadsOf(worker).map((loop): Row => {
      return { ...loop, worker: worker.worker, pid, generation, stage, rate: rateOf(loop) };
    });
    return {
      worker: {
        ...summary,
        worker: worker.worker,
        pid,
        generation,
        stage,
        state: stage !== 'ready' && stage !== 'draining' ? stage : (summary?.state ?? stage),
        // What a worker reports by itself is up to two seconds old. It has those of threads that have ended, too.
        rate: sumOf(connected.map(rateOf)) ?? perSecond(worker.requests, old?.requests),
        requests: Math.max(worker.requests, sumOf(connected.map(({ requests }) => requests)) ?? 0),
        connections: summary?.connections ?? worker.connections,
        memoryBytes: worker.memoryBytes,
        cpu: perSecond(worker.cpuSeconds, old?.cpuSeconds),
      },
      threads,
    };
  });
}

/** Of all workers, requests per second; undefined if one of them is not known. */
export function totalRate(workers: readonly WorkerRows[]): number | undefined {
  return sumOf(workers.map(({ worker }) => worker.rate));
}

/** @returns undefined if there is none, or one of them is not known */
function sumOf(values: readonly (number | undefined)[]): number | undefined {
  if (values.length === 0) return undefined;
  return values.reduce((total, one) => (total === undefined || one === undefined ? undefined : total + one), 0);
}

export interface Sort {
  value(row: Row): number | string | undefined;
  readonly isDescending: boolean;
}

/** Workers, and the threads of each, in that order; what has no value is at the end. */
export function sorted(workers: readonly WorkerRows[], sort: Sort): readonly Row[] {
  const byWorker = [...workers].sort((a, b) => compare(a.worker, b.worker, sort));
  return byWorker.flatMap(({ worker, threads }) => [worker, ...[...threads].sort((a, b) => compare(a, b, sort))]);
}

function compare(a: Row, b: Row, { value, isDescending }: Sort): number {
  const [one, other] = [value(a), value(b)];
  if (one === other) return a.worker - b.worker || (a.tid ?? 0) - (b.tid ?? 0);
  if (one === undefined || other === undefined) return one === undefined ? 1 : -1;
  return (one < other ? -1 : 1) * (isDescending ? -1 : 1);
}

export interface OldRequest extends RequestView {
  readonly worker: number;
  readonly tid: number;
}

/** The requests in flight that are known, the oldest first. */
export function oldestOf(workers: readonly WorkerStatus[]): readonly OldRequest[] {
  const all = workers.flatMap(({ worker, loops }) =>
    knownRequests(loops).map(({ request, loop: { tid, staleMs = 0 } }) => ({
      ...request,
      ageMs: request.ageMs + staleMs,
      worker,
      tid,
    })),
  );
  return all.sort((a, b) => b.ageMs - a.ageMs);
}
