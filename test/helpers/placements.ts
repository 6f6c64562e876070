// Every way in which a connection finds its worker: the models, each in its modes of accepting, with two of whatever
// a model has several of.
import { describe, test } from 'vitest';
import { isFull } from './repetitions.ts';
import type { ServerOptions } from './server.ts';

export interface Placement extends Pick<ServerOptions, 'model' | 'accept' | 'args'> {
  readonly name: string;
  readonly model: string;
  /** What ends when an app calls `process.exit`. */
  readonly unit: 'process' | 'thread';
  /** Worker processes that are there without a connection. */
  readonly processes: number;
  /** Requests are given to threads, so that no thread has a connection, and the process answers for one that has died. */
  readonly givesRequests?: true;
}

const two = { workers: ['--workers', '2'], threads: ['--threads', '2'] };

const all: readonly Placement[] = [
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
  {
    name: 'prethread request',
    model: 'prethread',
    args: [...two.threads, '--unit', 'request'],
    unit: 'thread',
    processes: 1,
    givesRequests: true,
  },
];

/** With FULL=1 only: its threads accept as those of prethread shared do, and its pool of processes is that of hybrid dispatch. */
const rare = 'hybrid shared';

export const placements = all.filter(({ name }) => isFull || name !== rare);

interface SizedModel {
  readonly model: string;
  readonly args: readonly string[];
  readonly tags: string[];
}

/**
 * Each model with two of whatever it has several of. `npm test` runs a pool of processes and one of threads: for what is
 * made by each event loop and by its host, the others have no other path.
 */
export const sizedModels: readonly SizedModel[] = [
  { model: 'ppc', args: [], tags: ['long'] },
  { model: 'prefork', args: two.workers, tags: [] },
  { model: 'tpc', args: [], tags: ['long'] },
  { model: 'prethread', args: two.threads, tags: [] },
  { model: 'hybrid', args: [...two.workers, ...two.threads], tags: ['long'] },
];

/** Those whose workers have the connections: for what an app does with its connection, or a death costs all of it. */
export const ofConnections = placements.filter(({ givesRequests }) => !givesRequests);

/** The names of the placements with which `npm test` runs a test. With the others the test has the tag `long`. */
type Names = readonly string[];

/**
 * The others repeat what these go through: a connection is given to a process by the supervisor, or is accepted by the thread
 * that serves it; the strategy has a worker for each connection, or a pool. tpc has the strategy of ppc and threads, and
 * hybrid has a pool at two levels.
 */
const ways: Names = ['ppc', 'prefork dispatch', 'prethread shared'];

export const isRepeated = ({ name }: Placement): boolean => !ways.includes(name);

/** A process and a thread, for what happens inside of a worker. */
export const units: Names = ['prefork dispatch', 'prethread shared'];

/** The tests of `body` for each placement of `all`, at the same time. */
export function forPlacements(body: (placement: Placement) => void, all = placements): void {
  describePlacements(ways, body, all);
}

/** As `forPlacements`, with `names` for `npm test`. */
export function describePlacements(names: Names, body: (placement: Placement) => void, all = placements): void {
  for (const one of all) describe.concurrent(one.name, { tags: tagsOf(one, names) }, () => body(one));
}

/** A test for each placement, at the same time. */
export function testPlacements(
  title: string,
  body: (placement: Placement) => Promise<void>,
  all: readonly Placement[] = placements,
): void {
  testSomePlacements(ways, title, body, all);
}

/** As `testPlacements`, with `names` for `npm test`. */
export function testSomePlacements(
  names: Names,
  title: string,
  body: (placement: Placement) => Promise<void>,
  all: readonly Placement[] = placements,
): void {
  for (const one of all) test.concurrent(`${one.name}: ${title}`, { tags: tagsOf(one, names) }, () => body(one));
}

/** Options of a test of `one`: `npm test` runs it for the first of `all`, the others repeat it. */
export const repeating = <T>(one: T, [first]: readonly T[]): { tags: string[] } => ({
  tags: one === first ? [] : ['long'],
});

const tagsOf = ({ name }: Placement, names: Names): string[] => (names.includes(name) ? [] : ['long']);
