// As plain Node does: every model answers what a mutator makes (`mutator.ts`) with the same bytes as `node:http` on this Node.
// FUZZ_INPUTS and SEED choose how many inputs, and which.
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isRepeated, placements } from '../helpers/placements.ts';
import { newSeed, randomOf } from '../helpers/seeds.js';
import { root, type Server, type ServerOptions, startServer } from '../helpers/server.js';
import { otherTimings, scriptOf } from './mutator.js';
import { cutWhileSending, play } from './play.js';

const app = path.join(root, 'test/corpus/mirror.cjs');
const reference = { script: path.join(root, 'test/conformance/reference.cjs') };
const args = ['header', 'request', 'keep-alive'].map((name) => `--${name}-timeout=7200s`);

const inputs = Number(process.env.FUZZ_INPUTS) || 500;
/** `npm test` plays one input in so many, `npm run test:all` all of them. */
const share = 5;
/** Where each connection has a process or thread of its own, which takes long, both play one in so many times as many. */
const unpooledFactor = 5;
const atOnce = 16;
/** How often an input is played when the answers differ: what a client gets that ends early may depend on time. */
const repetitions = 5;

const isEqual = (a: string, b: string): boolean => a === b;

/**
 * Where the app is in another thread, its answer to a request comes later than the bytes behind it, and Node, which answers
 * nonsense behind a request at once, or before it, depends on that. So does where, among the answers to pipelined requests, the
 * client is told to go on.
 */
function isEqualBeforeRefusal(a: string, b: string): boolean {
  const [first, second] = [a, b].map((text) => text.replace(/HTTP\/1\.1 100 Continue\r?\n\r?\n/g, '')) as [
    string,
    string,
  ];
  const [one, other] = [first, second].map((text) =>
    text.replace(/HTTP\/1\.1 4\d\d [\w -]+\r?\nConnection: close\r?\n\r?\n$/, ''),
  ) as [string, string];
  const isRefused = one !== first || other !== second;
  return isRefused ? one.startsWith(other) || other.startsWith(one) : first === second;
}

describe('fuzz', () => {
  const random = randomOf(newSeed('fuzz'));
  const seeds = Array.from({ length: inputs }, () => random.integer(0, 2 ** 31));
  let plain: Server;
  beforeAll(async () => {
    plain = await startServer({ ...reference, app, args });
  });
  afterAll(() => plain.stop());

  const answers = new Map<number, Promise<string>>();
  const answerOfNode = (seed: number): Promise<string> => {
    const answer = answers.get(seed) ?? play(plain.url, scriptOf(seed));
    answers.set(seed, answer);
    return answer;
  };

  const compare = async (start: ServerOptions, every: number, isSame = isEqual): Promise<void> => {
    await using server = await startServer({ ...start, app, args: [...args, ...(start.args ?? [])] });
    const chosen = seeds.filter((_, i) => i % every === 0);
    const results = await inParallel(chosen, async (seed) => {
      const script = scriptOf(seed);
      const [expected, got] = [await answerOfNode(seed), await play(server.url, script)];
      if (isSame(got, expected)) return undefined;
      // Whichever is busy reads several pieces as one: the worker that gets its connection late, or plain Node.
      for (const timing of otherTimings(script)) if (isSame(await play(plain.url, timing), got)) return undefined;
      for (let i = 0; i < repetitions; i++) {
        if (isSame(await play(plain.url, script), await play(server.url, script))) return undefined;
      }
      // Pieces that are far apart leave the client the time to read what has come.
      const [apart] = otherTimings(script);
      if (got === cutWhileSending && apart && (await play(plain.url, apart)) === (await play(server.url, apart)))
        return undefined;
      const sent = Buffer.concat(script.pieces).toString('latin1');
      return { seed, sent, pieces: script.pieces.length, endsLate: script.endsLate, expected, got };
    });
    expect(results.filter(Boolean)).toEqual([]);
  };

  test('plain node:http answers some inputs and refuses others', async () => {
    const all = await inParallel(
      seeds.filter((_, i) => i % share === 0),
      answerOfNode,
    );
    const statuses = all.map((text) => text.slice(9, 12));
    for (const status of ['200', '400']) expect(statuses).toContain(status);
  });

  for (const placement of placements) {
    const { name, model, accept, args: size = [], givesRequests } = placement;
    const isSame = givesRequests ? isEqualBeforeRefusal : isEqual;
    const start = { model, args: size, ...(accept && { accept }) };
    const factor = model === 'ppc' || model === 'tpc' ? unpooledFactor : 1;
    const few = share * factor;
    if (!isRepeated(placement)) {
      test(`${name}: no difference, one input in ${few}`, () => compare(start, few, isSame));
    }
    test(`${name}: no difference`, { tags: 'long' }, () => compare(start, factor, isSame));
  }
});

async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const todo = items.entries();
  const job = async (): Promise<void> => {
    for (const [i, item] of todo) results[i] = await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, job));
  return results;
}
