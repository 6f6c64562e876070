// The concurrency models: the only list of them. No other code asks which model it runs; it asks a row of this table.
import type { Accept, ModelFacts, UnitOfWork } from '../config/model.js';
import type { Group } from '../worker/settings.js';

/** How a model places connections: on worker processes, and within each on threads or on its own event loop. */
export interface Placement {
  readonly processes: Group;
  readonly threads: Group | undefined;
}

export interface Model extends ModelFacts {
  /** @param accept what the user has chosen; undefined for the model's default */
  placement(accept: Accept | undefined, unit: UnitOfWork): Placement;
}

const pool: Group = { isPerConnection: false, hostAccepts: false, hasQueues: false, takesRequests: false };
const queued: Group = { isPerConnection: false, hostAccepts: false, hasQueues: true, takesRequests: false };
const dispatched: Group = { isPerConnection: false, hostAccepts: true, hasQueues: false, takesRequests: false };
const perConnection: Group = { isPerConnection: true, hostAccepts: true, hasQueues: false, takesRequests: false };
/** Its host has the connections. */
const requests: Group = { isPerConnection: false, hostAccepts: true, hasQueues: false, takesRequests: true };

/** A pool of which each worker serves by itself what it accepts, or the host accepts for all. */
const groups: Readonly<Record<Accept, Group>> = { shared: pool, dispatch: dispatched, reuseport: queued };

const isDispatch = (accept: Accept | undefined): boolean => accept === 'dispatch';

/** A process for each connection, as in the classic UNIX server and in CERN httpd. */
const ppc: Model = {
  name: 'ppc',
  summary: 'a process per connection: best isolation, highest cost',
  accept: [],
  once: true,
  spares: true,
  maxConnections: 256,
  placement: () => ({ processes: perConnection, threads: undefined }),
};

/** A pool of processes on one socket, as in Apache prefork. */
const prefork: Model = {
  name: 'prefork',
  summary: 'a pool of processes on one socket: the default',
  accept: ['shared', 'dispatch', 'reuseport'],
  balances: isDispatch,
  keepsSessions: isDispatch,
  workers: (cores) => cores,
  maxConnections: 10_000,
  placement: (accept = 'shared') => ({ processes: groups[accept], threads: undefined }),
};

/** A thread for each connection. Threads live in a process of their own: the supervisor never shares one with the app. */
const tpc: Model = {
  name: 'tpc',
  summary: 'a thread per connection: isolation at half the cost of a process',
  accept: [],
  spares: true,
  threaded: true,
  maxConnections: 256,
  placement: () => ({ processes: pool, threads: perConnection }),
};

const placements: Readonly<Record<UnitOfWork, (accept: Accept) => Placement>> = {
  connection: (accept) => ({ processes: groups[accept].hasQueues ? queued : pool, threads: groups[accept] }),
  request: () => ({ processes: pool, threads: requests }),
};

/** A pool of threads in one process, the pre-threaded server. */
const prethread: Model = {
  name: 'prethread',
  summary: 'a pool of threads in one process: restarts fastest after a crash',
  accept: ['shared', 'dispatch', 'reuseport'],
  balances: isDispatch,
  keepsSessions: isDispatch,
  threads: (cores) => cores,
  threaded: true,
  units: true,
  maxConnections: 10_000,
  placement: (accept = 'shared', unit) => placements[unit](accept),
};

/** Processes times threads, as in Apache worker: prethread with more processes. */
const { keepsSessions: _, ...threadPool } = prethread; // the kernel chooses the process
const hybrid: Model = {
  ...threadPool,
  name: 'hybrid',
  summary: 'processes times threads: a crash of native code takes one process and its threads',
  workers: (cores) => Math.max(2, Math.ceil(cores / 2)),
  threads: () => 2,
};

export const models: Readonly<Record<string, Model>> = { ppc, prefork, tpc, prethread, hybrid };
