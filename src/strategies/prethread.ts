// prethread: a pool of threads in one host process. With `dispatch` the host accepts and hands each connection to
// a thread in turn, with `shared` the threads accept by themselves. Where it comes from: the pre-threaded server.
import { Pooled } from './pooled.js';
import type { Model } from './strategy.js';

export const prethread: Model = {
  name: 'prethread',
  summary: 'a pool of threads in one process: what ends is back soonest',
  accept: ['dispatch', 'shared'],
  threads: (cores) => cores,
  threaded: true,
  maxConnections: 10_000,
  placement: ({ accept, threads }) => ({
    acceptedBy: 'workers',
    executor: 'thread-pool',
    threadAccept: accept ?? 'dispatch',
    threads,
  }),
  strategy: Pooled,
};
