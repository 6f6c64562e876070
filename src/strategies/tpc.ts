// tpc: a thread per connection. One host process accepts and starts a thread for each connection, which ends with
// it. The host is a process of its own so that the supervisor never shares one with the app.
import type { Model } from './strategy.js';

export const tpc: Model = {
  name: 'tpc',
  summary: 'a thread per connection: isolation at half the cost of a process',
  accept: [],
  spares: true,
  threaded: true,
  maxConnections: 256,
  placement: () => ({
    acceptedBy: 'workers',
    executor: 'thread-per-connection',
    threadAccept: 'dispatch',
    threads: 1,
  }),
  strategy: 'pooled',
};
