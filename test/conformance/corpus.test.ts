// As plain Node does: every model, hosting the mirror, answers the corpus exactly as `node:http` on this Node.
// A process, or a thread, for each of 2,275 connections takes longer than all other tests together, so these models
// get a share of the requests with `npm test`, another with `npm run test:all`, whose seed chooses it, and all of them
// with FULL=1. The placements in which a connection is served by what others serve it by, too (`helpers/placements`),
// get all of them with `npm run test:all`.
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { corpus, differences, type Outcome, record } from '../corpus/replay.js';
import { isRepeated, placements } from '../helpers/placements.ts';
import { isFull } from '../helpers/repetitions.ts';
import { newSeed, randomOf } from '../helpers/seeds.js';
import { root, type ServerOptions, startServer } from '../helpers/server.js';

const app = path.join(root, 'test/corpus/mirror.cjs');
/** One request in so many is the share of a model that gets one. */
const share = 48;
const longShare = isFull ? 1 : 16;
// Time decides nothing here: those that stay open do so until all others are through.
const args = ['header', 'request', 'keep-alive'].map((name) => `--${name}-timeout=7200s`);

const reference = { script: path.join(import.meta.dirname, 'reference.cjs') };
describe('the corpus', () => {
  let expected: Outcome[];
  beforeAll(async () => {
    await using server = await startServer({ ...reference, app, args });
    expected = await record(server.url, corpus);
  });

  test('the reference answers, refuses and waits', () => {
    expect(corpus).toHaveLength(2275);
    const kinds = expected.map(({ end, answers }) => `${answers.at(-1)?.[0]} ${end}`);
    expect(new Set(kinds)).toEqual(
      new Set(['200 open', '200 closed', '400 closed', 'undefined open', 'undefined closed']),
    );
  });

  const compare = async (start: ServerOptions, isChosen: (i: number) => boolean) => {
    const chosen = (_: unknown, i: number) => isChosen(i);
    await using server = await startServer({ ...start, app, args: [...args, ...(start.args ?? [])] });
    expect(await differences(server.url, corpus.filter(chosen), expected.filter(chosen))).toEqual([]);
  };
  const all = () => true;
  const first = randomOf(newSeed('corpus')).integer(0, longShare - 1);

  test('plain node:http, once more: no difference', () => compare(reference, all));

  for (const placement of placements) {
    const { name, model, accept, givesRequests } = placement;
    // Many of these requests never end, and each has its place in a thread meanwhile.
    const args = [...(placement.args ?? []), ...(givesRequests ? ['--tasks-per-thread', '1000'] : [])];
    const start = { model, args, ...(accept && { accept }) };
    const tags = isRepeated(placement) ? ['long'] : [];
    if (model === 'ppc' || model === 'tpc') {
      test(`${name}: no difference, one request in ${share}`, { tags }, () => compare(start, (i) => i % share === 0));
      test(`${name}: no difference, one request in ${longShare}`, { tags: 'long' }, () =>
        compare(start, (i) => i % longShare === first),
      );
    } else test(`${name}: no difference`, { tags }, () => compare(start, all));
    if (givesRequests) {
      const hybrid = { model: 'hybrid', args: [...args, '--workers', '2'] };
      test('hybrid request: no difference', { tags: ['long'] }, () => compare(hybrid, all));
    }
  }
});
