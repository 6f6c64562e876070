// prethread: a pool of threads in one host process. With `shared` the threads accept by themselves, with `dispatch`
// the host accepts and hands each connection to a thread in turn. Where it comes from: the pre-threaded server.
import type { Model } from './strategy.js';

export const prethread: Model = {
  name: 'prethread',
  summary: 'a pool of threads in one process: what ends is back soonest',
  accept: ['shared', 'dispatch'],
  threads: (cores) => cores,
  threaded: true,
  maxConnections: 10_000,
  placement: ({ accept, threads }) => ({
    acceptedBy: 'workers',
    executor: 'thread-pool',
    threadAccept: accept ?? 'shared',
    threads,
  }),
  strategy: 'pooled',
};
