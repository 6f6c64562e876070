// The metrics of the server as a whole, and of its supervisor.
import { serverStates } from '../control/protocol.js';
import { byLabel, type Definition, one, seconds } from './definition.js';
import { operations } from './layout.js';

const microseconds = (counter: number | undefined) => one((counter as number) / 1e6);
const onOff = (isOn: boolean): string => (isOn ? 'on' : 'off');
const range = (low: number, high: number): string => (low === high ? String(low) : `${low}-${high}`);

export const serverMetrics: readonly Definition[] = [
  {
    name: 'mpserve_state',
    type: 'gauge',
    help: '1 for the state of the server, 0 for the others',
    labels: ['state'],
    samples: ({ status }) =>
      serverStates.map((state) => ({ labels: { state }, value: Number(state === status.state) })),
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
    name: 'mpserve_operations_total',
    type: 'counter',
    help: 'Operations that were done',
    labels: ['action'],
    samples: ({ counts }) => byLabel('action', operations, counts.done),
  },
  {
    name: 'mpserve_operations_failed_total',
    type: 'counter',
    help: 'Operations that failed: the server went on as before',
    labels: ['action'],
    samples: ({ counts }) => byLabel('action', operations, counts.failed),
  },
  {
    name: 'mpserve_rollbacks_total',
    type: 'counter',
    help: 'Of the operations that failed, those that had started new workers, or a new server, which were ended again',
    labels: ['action'],
    samples: ({ counts }) => byLabel('action', operations, counts.rolledBack),
  },
  {
    name: 'mpserve_supervisor_cpu_seconds_total',
    type: 'counter',
    help: 'Processor time of the supervisor',
    samples: ({ counts }) => microseconds(counts.supervisorCpu[0]),
  },
  {
    name: 'mpserve_supervisor_event_loop_busy_seconds_total',
    type: 'counter',
    help: 'Time for which the event loop of the supervisor was busy; its rate is the utilisation, from 0 to 1',
    samples: ({ counts }) => microseconds(counts.supervisorBusy[0]),
  },
  {
    name: 'mpserve_supervisor_memory_bytes',
    type: 'gauge',
    help: 'Resident memory of the supervisor',
    samples: ({ memoryBytes }) => one(memoryBytes),
  },
  {
    name: 'mpserve_info',
    type: 'gauge',
    help: 'The version of mpserve and of Node, and the model',
    labels: ['version', 'node', 'model'],
    samples: ({ version, status }) => [{ labels: { version, node: process.version, model: status.model }, value: 1 }],
  },
  {
    name: 'mpserve_config_info',
    type: 'gauge',
    help: 'The current configuration; `workers` and `threads` are ranges where they scale',
    labels: ['accept', 'balance', 'workers', 'threads', 'max_inflight', 'rate_limit', 'sticky', 'migrate'],
    samples: ({ status, config: { pool, overload, limits, sessions, lifecycle } }) => [
      {
        labels: {
          accept: pool.accept ?? 'none',
          balance: status.balance ?? 'none',
          workers: range(pool.minWorkers, pool.maxWorkers),
          threads: range(pool.minThreads, pool.maxThreads),
          max_inflight: String(overload.maxInflight),
          rate_limit: onOff(limits.rateLimit !== undefined),
          sticky: sessions.sticky?.by ?? 'none',
          migrate: onOff(lifecycle.migrate),
        },
        value: 1,
      },
    ],
  },
];
