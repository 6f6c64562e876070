// The row of ppc: a process per connection. The class behind it is in `ppc.ts`.
import type { Config } from '../config/config.js';
import type { Model, Placement } from './strategy.js';

export const ppc: Model = {
  name: 'ppc',
  summary: 'a process per connection: the best isolation, the dearest connection',
  accept: [],
  once: true,
  spares: true,
  maxConnections: 256,
  placement: (_: Config): Placement => ({
    acceptedBy: 'supervisor',
    executor: 'inline',
    threadAccept: 'dispatch',
    threads: 1,
  }),
  strategy: 'ppc',
};
