// The metrics of worker processes and threads.
import type { WorkerStatus } from '../control/protocol.js';
import { exitCauses } from '../reports/exit-cause.js';
import type { LoopView } from '../scoreboard/loop-view.js';
import { byLabel, type Definition, one, type Sample, seconds } from './definition.js';
import { exitIndex, units } from './layout.js';

/** Numbers of workers, and of threads, with samples of their own. In `ppc` each connection has a worker with a new number. */
const maxLabels = 64;
const rest = 'other';
const restHelp = `those above ${maxLabels} together are \`${rest}\``;
const highestHelp = `of those above ${maxLabels}, the highest is \`${rest}\``;

type Combine = (a: number, b: number) => number;
const sum: Combine = (a, b) => a + b;

const labelOf = (number: number): string => (number <= maxLabels ? String(number) : rest);

/** The workers of each route have numbers of their own. */
const routeOf = ({ route }: WorkerStatus): { readonly route?: string } => (route === undefined ? {} : { route });

/** One sample for each set of labels: two workers have the same number while one replaces the other. */
function combined(samples: readonly Required<Omit<Sample, 'suffix'>>[], combine: Combine): readonly Sample[] {
  const all = new Map<string, Required<Omit<Sample, 'suffix'>>>();
  for (const { labels, value } of samples) {
    const key = JSON.stringify(labels);
    const before = all.get(key);
    all.set(key, { labels, value: before ? combine(before.value, value) : value });
  }
  return [...all.values()];
}

function byWorker(
  workers: readonly WorkerStatus[],
  combine: Combine,
  value: (worker: WorkerStatus) => number | undefined,
): readonly Sample[] {
  const samples = workers.flatMap((one) => {
    const number = value(one);
    return number === undefined ? [] : [{ labels: { worker: labelOf(one.worker), ...routeOf(one) }, value: number }];
  });
  return combined(samples, combine);
}

/** Threads are numbered by their age, from 1: the ids of Node go up with each thread that starts. 0 is the process itself. */
function byLoop(
  workers: readonly WorkerStatus[],
  combine: Combine,
  values: (loop: LoopView) => readonly { readonly labels?: Sample['labels']; readonly value: number }[],
): readonly Sample[] {
  const samples = workers.flatMap((one) => {
    const sorted = [...one.loops].sort((a, b) => a.tid - b.tid);
    const first = sorted[0]?.tid === 0 ? 0 : 1;
    return sorted.flatMap((loop, i) =>
      values(loop).map(({ labels, value }) => ({
        labels: { worker: labelOf(one.worker), ...routeOf(one), thread: labelOf(first + i), ...labels },
        value,
      })),
    );
  });
  return combined(samples, combine);
}

export const workerMetrics: readonly Definition[] = [
  {
    name: 'mpserve_workers_wanted',
    type: 'gauge',
    help: 'Worker processes that there are to be',
    samples: ({ status }) => one(status.workers.wanted),
  },
  {
    name: 'mpserve_workers_ready',
    type: 'gauge',
    help: 'Worker processes that are ready',
    samples: ({ status }) => one(status.workers.ready),
  },
  {
    name: 'mpserve_starts_total',
    type: 'counter',
    help: 'Worker processes and threads that have become ready',
    labels: ['unit'],
    samples: ({ counts }) => byLabel('unit', units, counts.starts),
  },
  {
    name: 'mpserve_exits_total',
    type: 'counter',
    help: 'Worker processes and threads that have ended; threads of a process that was killed are missing',
    labels: ['unit', 'cause'],
    samples: ({ counts }) =>
      units.flatMap((unit) =>
        exitCauses.map((cause) => ({
          labels: { unit, cause },
          value: counts.exits[exitIndex(unit, cause)] as number,
        })),
      ),
  },
  {
    name: 'mpserve_hangs_total',
    type: 'counter',
    help: 'Event loops that were blocked for --hang-timeout',
    samples: ({ counts }) => one(counts.hangs[0] as number),
  },
  {
    name: 'mpserve_crashes_total',
    type: 'counter',
    help: 'Uncaught exceptions and unhandled rejections of the app',
    samples: ({ counts }) => one(counts.crashes[0] as number),
  },
  {
    name: 'mpserve_worker_memory_bytes',
    type: 'gauge',
    help: `Proportional memory (PSS) of a worker process; ${restHelp}`,
    labels: ['worker'],
    samples: ({ workers }) => byWorker(workers, sum, ({ memoryBytes }) => memoryBytes),
  },
  {
    name: 'mpserve_worker_cpu_seconds',
    type: 'gauge',
    help: `Processor time of a worker process since its start; ${restHelp}`,
    labels: ['worker'],
    samples: ({ workers }) => byWorker(workers, sum, ({ cpuSeconds }) => cpuSeconds),
  },
  {
    name: 'mpserve_worker_load',
    type: 'gauge',
    help: `Load of a worker, from 0 to 1, as --scale-on measures it; absent where nothing scales; ${highestHelp}`,
    labels: ['worker'],
    samples: ({ workers }) => byWorker(workers, Math.max, ({ load }) => load),
  },
  {
    name: 'mpserve_event_loop_utilization_ratio',
    type: 'gauge',
    help: `Part of the time for which an event loop was busy, from 0 to 1; thread 0 is the process itself; ${highestHelp}`,
    labels: ['worker', 'thread'],
    samples: ({ workers }) => byLoop(workers, Math.max, ({ utilization: value }) => [{ value }]),
  },
  {
    name: 'mpserve_event_loop_lag_seconds',
    type: 'gauge',
    help: `How late the timers of an event loop were: the median and the 99th percentile; ${highestHelp}`,
    labels: ['worker', 'thread', 'quantile'],
    samples: ({ workers }) =>
      byLoop(workers, Math.max, ({ lagMs }) =>
        lagMs
          ? [
              { labels: { quantile: '0.5' }, value: seconds(lagMs.p50) },
              { labels: { quantile: '0.99' }, value: seconds(lagMs.p99) },
            ]
          : [],
      ),
  },
  {
    name: 'mpserve_event_loop_stale_seconds',
    type: 'gauge',
    help: `How old what is known of an event loop is: 0 if it has answered this scrape, else it is blocked; ${highestHelp}`,
    labels: ['worker', 'thread'],
    samples: ({ workers }) => byLoop(workers, Math.max, ({ staleMs = 0 }) => [{ value: seconds(staleMs) }]),
  },
  {
    name: 'mpserve_heap_bytes',
    type: 'gauge',
    help: `JavaScript heap in use by an event loop; ${restHelp}`,
    labels: ['worker', 'thread'],
    samples: ({ workers }) => byLoop(workers, sum, ({ heapBytes: value }) => [{ value }]),
  },
];
