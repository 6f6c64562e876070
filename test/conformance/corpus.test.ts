// As plain Node does: every model, hosting the mirror, answers the corpus exactly as `node:http` on this Node.
// A process, or a thread, for each of 2,275 connections takes longer than all other tests together, so these models
// get a share of the requests, unless MPSERVE_TEST_CORPUS=all, which `.ci/run` sets.
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { corpus, differences, type Outcome, record } from '../corpus/replay.js';
import { root, startServer } from '../helpers/server.js';

const app = path.join(root, 'test/corpus/mirror.cjs');
const all = process.env.MPSERVE_TEST_CORPUS === 'all';
// Time decides nothing here: those that stay open do so until all others are through.
const args = ['header', 'request', 'keep-alive'].map((name) => `--${name}-timeout=300s`);

const reference = { script: path.join(import.meta.dirname, 'reference.cjs') };
const targets = [
  { name: 'plain node:http, once more', start: reference },
  { name: 'ppc', start: { model: 'ppc' }, every: 12 },
  { name: 'tpc', start: { model: 'tpc' }, every: 4 },
  ...['prefork', 'prethread', 'hybrid'].flatMap((model) =>
    ['shared', 'dispatch'].map((accept) => ({ name: `${model} --accept ${accept}`, start: { model, accept } })),
  ),
];

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

  for (const { name, start, every = 1 } of targets as { name: string; start: object; every?: number }[]) {
    const share = all ? 1 : every;
    test(`${name}: no difference${share > 1 ? `, one request in ${share}` : ''}`, { timeout: 300_000 }, async () => {
      const chosen = (_: unknown, i: number) => i % share === 0;
      await using server = await startServer({ ...start, app, args });
      expect(await differences(server.url, corpus.filter(chosen), expected.filter(chosen))).toEqual([]);
    });
  }
});
