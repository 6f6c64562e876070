// Every way in which a connection finds its worker: the models, each in its modes of accepting, with two of whatever
// a model has several of.
import type { ServerOptions } from './server.ts';

export interface Placement extends Pick<ServerOptions, 'model' | 'accept' | 'args'> {
  readonly name: string;
  readonly model: string;
  /** What ends when an app calls `process.exit`. */
  readonly unit: 'process' | 'thread';
  /** Worker processes that are there without a connection. */
  readonly processes: number;
}

const two = { workers: ['--workers', '2'], threads: ['--threads', '2'] };

export const placements: readonly Placement[] = [
  { name: 'ppc', model: 'ppc', unit: 'process', processes: 0 },
  ...(['shared', 'dispatch'] as const).flatMap((accept): Placement[] => [
    { name: `prefork ${accept}`, model: 'prefork', accept, args: two.workers, unit: 'process', processes: 2 },
    { name: `prethread ${accept}`, model: 'prethread', accept, args: two.threads, unit: 'thread', processes: 1 },
    {
      name: `hybrid ${accept}`,
      model: 'hybrid',
      accept,
      args: [...two.workers, ...two.threads],
      unit: 'thread',
      processes: 2,
    },
  ]),
  { name: 'tpc', model: 'tpc', unit: 'thread', processes: 1 },
];

/** One for each model, in its default mode. */
export const models: readonly Placement[] = placements.filter(
  ({ model }, i) => placements.findIndex((other) => other.model === model) === i,
);
