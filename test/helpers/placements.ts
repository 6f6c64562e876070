// Every way in which a connection finds its worker: the models, each in its modes of accepting, with two of whatever
// a model has several of.
import { describe, test } from 'vitest';
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

/**
 * These repeat what others go through, so `npm test` leaves them out. A connection is given to a process by the
 * supervisor (prefork dispatch), to a thread by its process (hybrid dispatch), or is accepted by what serves it, a
 * thread (prethread shared) or a process (all tests of prefork that name no mode).
 */
const repeats = ['prefork shared', 'prethread dispatch', 'hybrid shared'];

export const isRepeated = ({ name }: Placement): boolean => repeats.includes(name);

/** The tests of `body` for each placement of `all`, at the same time. */
export function forPlacements(body: (placement: Placement) => void, all = placements): void {
  const [often, seldom] = split(all);
  describe.concurrent.each(often)('$name', body);
  describe.concurrent.each(seldom)('$name', { tags: 'long' }, body);
}

/** A test for each placement, at the same time. */
export function testPlacements(title: string, body: (placement: Placement) => Promise<void>): void {
  const [often, seldom] = split(placements);
  test.concurrent.each(often)(`$name: ${title}`, body);
  test.concurrent.each(seldom)(`$name: ${title}`, { tags: 'long' }, body);
}

function split(all: readonly Placement[]): [often: Placement[], seldom: Placement[]] {
  return [all.filter((one) => !isRepeated(one)), all.filter(isRepeated)];
}
