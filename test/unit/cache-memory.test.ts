// The cache stays within its memory, whatever clients ask for; and a store may be asynchronous.
import { Agent } from 'node:http';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { MemoryStore } from '../../src/cache/memory-store.ts';
import { layOut, sharedBytes, usedBytes, writtenAt } from '../../src/cache/shared-layout.ts';
import { memoryBytes, partOf } from '../../src/memory/parts.ts';
import { gaugesLayout, sumGauges } from '../../src/metrics/gauges.ts';
import { ask, cacheStatus } from '../helpers/cache-client.ts';
import { CachedApp } from '../helpers/cached-app.ts';

const mega = 1024 ** 2;

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

function memoryInUse(): number {
  for (let i = 0; i < 3; i++) collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** What the gauge says that is stored. */
function storedIn(memory: SharedArrayBuffer): number {
  const { start } = partOf(memory, 'places');
  const read = (bytes: Uint8Array, at: number) => bytes.set(new Uint8Array(memory, start + at, bytes.length));
  return sumGauges(gaugesLayout, read).cacheUnits * 1024;
}

function sharedIn(memory: SharedArrayBuffer | undefined): number {
  if (!memory) return 0;
  return usedBytes(new BigInt64Array(memory, writtenAt, 1)[0] as bigint, layOut(memory.byteLength));
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('within 8 MiB stay', () => {
  const all: readonly [
    name: string,
    count: number,
    target: (i: number) => string,
    of: (i: number) => object,
    bytes: number,
  ][] = [
    ['small responses to random targets', 12_000, (i) => `/${i}?${'x'.repeat(i % 100)}`, () => ({}), 13],
    ['large bodies', 300, (i) => `/${i}`, () => ({}), 200_000],
    ['long targets', 1000, (i) => `/${i}?${'y'.repeat(10_000)}`, () => ({}), 13],
    ['variants of a target', 3000, () => '/', (i) => ({ 'x-variant': `${i}${'z'.repeat(2000)}` }), 13],
    ['large headers of the app', 1000, (i) => `/${i}`, () => ({ 'x-large': '1' }), 13],
  ];
  type Row = (typeof all)[number];
  const stays = async ([_name, count, target, of, bytes]: Row, cacheMemory?: SharedArrayBuffer): Promise<void> => {
    const memory = new SharedArrayBuffer(memoryBytes);
    const agent = new Agent({ keepAlive: true, maxSockets: 16 });
    await using app = await CachedApp.start({
      memory,
      cacheMemory,
      bytes: 8 * mega,
      handle: (req, res) => {
        res.setHeader('cache-control', 'max-age=600');
        if (req.headers['x-variant']) res.setHeader('vary', 'x-variant');
        if (req.headers['x-large']) res.setHeader('x-large', 'h'.repeat(30_000));
        res.end('b'.repeat(bytes));
      },
    });
    await ask(`${app.url}/warm`);
    const before = memoryInUse();
    let most = 0;
    for (let i = 0; i < count; i += 16) {
      const some = Array.from({ length: 16 }, (_, j) => i + j);
      await Promise.all(some.map((j) => ask(app.url + target(j), of(j) as Record<string, string>, { agent })));
      if (cacheMemory) await ask(app.url + target(i), of(i) as Record<string, string>, { agent }); // a decoded copy
      most = Math.max(most, storedIn(memory) + sharedIn(cacheMemory));
    }
    agent.destroy();
    expect(most).toBeGreaterThan(0.1 * mega);
    expect(most).toBeLessThanOrEqual(8 * mega);
    // What it counts is what it takes, beside what the test itself keeps.
    expect(memoryInUse() - before).toBeLessThan(12 * mega);
  };
  test.each(all)('%s', (...row) => stays(row));
  test.each(all)('%s, in a store that is shared', { tags: ['long'] }, (name, count, ...row) =>
    stays([name, count / 3, ...row], new SharedArrayBuffer(sharedBytes(8 * mega))),
  );
});

test('bodies that are being recorded have a limit together, and each of them', async () => {
  await using app = await CachedApp.start({
    bytes: mega,
    handle: (_req, res) => {
      res.setHeader('cache-control', 'max-age=600');
      for (let i = 0; i < 10; i++) res.write(Buffer.alloc(20_000));
      res.end();
    },
  });
  expect((await ask(app.url)).body).toHaveLength(200_000);
  expect(cacheStatus(await ask(app.url))).toBe('fwd=uri-miss');
});

test('a store may be asynchronous', async () => {
  const { get, put } = MemoryStore.prototype;
  vi.spyOn(MemoryStore.prototype, 'get').mockImplementation(function (this: MemoryStore, key) {
    return Promise.resolve(get.call(this, key)) as never;
  });
  vi.spyOn(MemoryStore.prototype, 'put').mockImplementation(function (this: MemoryStore, ...all) {
    return new Promise<void>((done) => setTimeout(() => done(put.apply(this, all)), 10)) as never;
  });
  let count = 0;
  await using app = await CachedApp.start({
    handle: (_req, res) => {
      res.setHeader('cache-control', 'max-age=600');
      setTimeout(() => res.end(`body ${++count}`), 20);
    },
  });
  const all = await Promise.all(Array.from({ length: 20 }, () => ask(app.url)));
  expect(new Set(all.map(({ body }) => body))).toEqual(new Set(['body 1']));
  expect(cacheStatus(await ask(app.url))).toBe('hit');
});
