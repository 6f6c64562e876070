// prefork: a pool of processes on one socket. With `shared` all of them accept, with `dispatch` the supervisor
// accepts and gives each connection to one in turn. Where it comes from: Apache prefork, gunicorn.
import type { Model } from './strategy.js';

export const prefork: Model = {
  name: 'prefork',
  summary: 'a pool of processes on one socket: the default',
  accept: ['shared', 'dispatch'],
  workers: (cores) => cores,
  maxConnections: 10_000,
  placement: ({ accept }) => ({
    acceptedBy: accept === 'dispatch' ? 'supervisor' : 'workers',
    executor: 'inline',
    threadAccept: 'dispatch',
    threads: 1,
  }),
  strategy: 'pooled',
};
