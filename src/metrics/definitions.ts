// The metrics of a server: their names, and where the numbers come from. docs/metrics.md is generated from this table. Names
// and units are those of OpenMetrics; no label has a value that a client chooses.
import type { Status, WorkerStatus } from '../control/protocol.js';
import { answeredIndex, bucketMs, methods, operations, statusClasses } from './layout.js';
import type { Counts } from './totals.js';

/** What the metrics are made of, at one moment. */
export interface Observed {
  readonly status: Status;
  readonly workers: readonly WorkerStatus[];
  readonly counts: Counts;
  readonly version: string;
}

export interface Sample {
  readonly labels?: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Of a histogram: `_bucket`, `_sum` or `_count`. */
  readonly suffix?: string;
}

export interface Definition {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Names of its labels. */
  readonly labels?: readonly string[];
  samples(observed: Observed): readonly Sample[];
}

const one = (value: number): readonly Sample[] => [{ value }];
const seconds = (ms: number): number => ms / 1000;

function byOperation(counters: readonly number[]): readonly Sample[] {
  return operations.map((action, i) => ({ labels: { action }, value: counters[i] as number }));
}

function histogram(counters: readonly number[]): readonly Sample[] {
  let count = 0;
  const buckets = [...bucketMs, Number.POSITIVE_INFINITY].map((bound, i) => {
    count += counters[i] as number;
    const le = Number.isFinite(bound) ? String(seconds(bound)) : '+Inf';
    return { labels: { le }, value: count, suffix: '_bucket' };
  });
  const sum = (counters[bucketMs.length + 1] as number) / 1e6;
  return [...buckets, { value: sum, suffix: '_sum' }, { value: count, suffix: '_count' }];
}

const byWorker = (workers: readonly WorkerStatus[], value: (worker: WorkerStatus) => number | undefined) =>
  workers.flatMap((worker) => {
    const number = value(worker);
    return number === undefined ? [] : [{ labels: { worker: worker.worker }, value: number }];
  });

const states: readonly Status['state'][] = ['starting', 'serving', 'degraded', 'down', 'drained', 'stopping'];

export const definitions: readonly Definition[] = [
  {
    name: 'mpserve_requests_total',
    type: 'counter',
    help: 'Requests that have been answered',
    labels: ['method', 'class'],
    samples: ({ counts }) =>
      methods.flatMap((method, m) =>
        statusClasses.map((statusClass, c) => ({
          labels: { method, class: statusClass },
          value: counts.answered[answeredIndex(m, c)] as number,
        })),
      ),
  },
  {
    name: 'mpserve_requests_unanswered_total',
    type: 'counter',
    help: 'Requests whose clients disconnected before the response',
    samples: ({ counts }) => one(counts.unanswered[0] as number),
  },
  {
    name: 'mpserve_responses_cut_total',
    type: 'counter',
    help: 'Answered requests of which the client did not get the whole response',
    samples: ({ counts }) => one(counts.cut[0] as number),
  },
  {
    name: 'mpserve_requests_lost_total',
    type: 'counter',
    help: 'Requests that were in flight when their worker or thread died',
    samples: ({ counts }) => one(counts.lost[0] as number),
  },
  {
    name: 'mpserve_request_duration_seconds',
    type: 'histogram',
    help: 'Time from a request to the end of its response',
    labels: ['le'],
    samples: ({ counts }) => histogram(counts.duration),
  },
  {
    name: 'mpserve_time_to_first_byte_seconds',
    type: 'histogram',
    help: 'Time from a request to the beginning of its response',
    labels: ['le'],
    samples: ({ counts }) => histogram(counts.firstByte),
  },
  {
    name: 'mpserve_connections_accepted_total',
    type: 'counter',
    help: 'Connections that event loops have got; one that migrates counts again',
    samples: ({ counts }) => one(counts.opened[0] as number),
  },
  {
    name: 'mpserve_connections_closed_total',
    type: 'counter',
    help: 'Connections that have ended on an event loop; those of a worker that died are missing',
    samples: ({ counts }) => one(counts.closed[0] as number),
  },
  {
    name: 'mpserve_received_bytes_total',
    type: 'counter',
    help: 'Bytes from clients',
    samples: ({ counts }) => one(counts.received[0] as number),
  },
  {
    name: 'mpserve_sent_bytes_total',
    type: 'counter',
    help: 'Bytes to clients',
    samples: ({ counts }) => one(counts.sent[0] as number),
  },
  {
    name: 'mpserve_state',
    type: 'gauge',
    help: '1 for the state of the server, 0 for the others',
    labels: ['state'],
    samples: ({ status }) => states.map((state) => ({ labels: { state }, value: Number(state === status.state) })),
  },
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
    name: 'mpserve_generation',
    type: 'gauge',
    help: 'The generation that serves: each reload and switch begins one',
    samples: ({ status }) => one(status.generation),
  },
  {
    name: 'mpserve_uptime_seconds',
    type: 'gauge',
    help: 'Time since the start of the supervisor',
    samples: ({ status }) => one(seconds(status.uptimeMs)),
  },
  {
    name: 'mpserve_worker_starts_total',
    type: 'counter',
    help: 'Worker processes that have become ready',
    samples: ({ counts }) => one(counts.workerStarts[0] as number),
  },
  {
    name: 'mpserve_worker_deaths_total',
    type: 'counter',
    help: 'Worker processes that have ended without having been told to',
    samples: ({ counts }) => one(counts.workerDeaths[0] as number),
  },
  {
    name: 'mpserve_thread_deaths_total',
    type: 'counter',
    help: 'Threads that have ended without having been told to',
    samples: ({ counts }) => one(counts.threadDeaths[0] as number),
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
    name: 'mpserve_sessions_placed_again_total',
    type: 'counter',
    help: 'Sessions of --sticky whose workers had gone, or that were not known',
    samples: ({ counts }) => one(counts.placedAgain[0] as number),
  },
  {
    name: 'mpserve_operations_total',
    type: 'counter',
    help: 'Operations that were done',
    labels: ['action'],
    samples: ({ counts }) => byOperation(counts.done),
  },
  {
    name: 'mpserve_operations_failed_total',
    type: 'counter',
    help: 'Operations that failed: the server went on as before',
    labels: ['action'],
    samples: ({ counts }) => byOperation(counts.failed),
  },
  {
    name: 'mpserve_worker_memory_bytes',
    type: 'gauge',
    help: 'Proportional memory (PSS) of a worker process',
    labels: ['worker'],
    samples: ({ workers }) => byWorker(workers, ({ memoryBytes }) => memoryBytes),
  },
  {
    name: 'mpserve_worker_cpu_seconds',
    type: 'gauge',
    help: 'Processor time of a worker process since its start',
    labels: ['worker'],
    samples: ({ workers }) => byWorker(workers, ({ cpuSeconds }) => cpuSeconds),
  },
  {
    name: 'mpserve_worker_load',
    type: 'gauge',
    help: 'Load of a worker, from 0 to 1, as --scale-on measures it; absent where nothing scales',
    labels: ['worker'],
    samples: ({ workers }) => byWorker(workers, ({ load }) => load),
  },
  {
    name: 'mpserve_info',
    type: 'gauge',
    help: 'The version of mpserve and of Node, and the model',
    labels: ['version', 'node', 'model'],
    samples: ({ version, status }) => [{ labels: { version, node: process.version, model: status.model }, value: 1 }],
  },
];
