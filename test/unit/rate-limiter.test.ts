// Token buckets in memory that event loops share: how many requests of a client they allow, when the table is full, and when
// threads use it at the same time. The end-to-end tests are in test/lifecycle/rate-limit.test.ts.
import { Worker } from 'node:worker_threads';
import { expect, test, vi } from 'vitest';
import type { RateLimit } from '../../src/config/rate-limit.ts';
import { memoryBytes, rangeOf } from '../../src/memory/parts.ts';
import { BucketTable } from '../../src/rate-limit/bucket-table.ts';
import { RateLimiter, type Verdict } from '../../src/rate-limit/limiter.ts';
import { repetitions } from '../helpers/repetitions.ts';

const limitOf = (rate: Partial<RateLimit>): RateLimit => ({
  count: 1,
  unit: 's',
  burst: 1,
  header: undefined,
  ...rate,
});
/** Milliseconds on the clock of the limiters, 11 days after the machine has started. */
const start = 1e9;

/** With a key, so that it is the same in each run which clients share a set. */
function newMemory(): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(memoryBytes);
  new Int32Array(memory, rangeOf('hashKey').start, 4).set([1, 2, 3, 4]);
  return memory;
}

/** @returns a function that counts a request of `client` at a time of `start` and later */
function taker(rate: Partial<RateLimit>, memory = newMemory()): (client: string, time: number) => Verdict {
  let now = start;
  const limiter = new RateLimiter(limitOf(rate), memory, () => now);
  return (client, time) => {
    now = time;
    return limiter.take(client);
  };
}

test('a client gets its burst at once, and then as many as come back', () => {
  const take = taker({ count: 100, burst: 20 });
  const allowed = (time: number, attempts: number): number =>
    Array.from({ length: attempts }, () => take('a', time)).filter(({ isAllowed }) => isAllowed).length;
  expect(allowed(start, 100)).toBe(20);
  expect(allowed(start + 9, 100)).toBe(0);
  expect(allowed(start + 10, 100)).toBe(1);
  expect(allowed(start + 110, 100)).toBe(10);
  expect(allowed(start + 100_000, 100)).toBe(20); // no more than the burst
});

test('it says what is left, and when the next token comes', () => {
  const take = taker({ count: 1, unit: 'm', burst: 2 });
  expect(take('a', start)).toEqual({ isAllowed: true, left: 1, nextMs: 60_000 });
  expect(take('a', start + 15_000)).toEqual({ isAllowed: true, left: 0, nextMs: 45_000 });
  expect(take('a', start + 15_000)).toEqual({ isAllowed: false, left: 0, nextMs: 45_000 });
  expect(take('a', start + 59_999)).toEqual({ isAllowed: false, left: 0, nextMs: 1 });
  expect(take('a', start + 60_000)).toEqual({ isAllowed: true, left: 0, nextMs: 60_000 });
});

// 7 a minute and 3 a second are no whole numbers of milliseconds apart; the last ones are the extremes.
test.each<[string, Partial<RateLimit>, number]>([
  ['7/m', { count: 7, unit: 'm', burst: 1 }, 86_400_000],
  ['3/s', { count: 3, burst: 5 }, 3_600_000],
  ['999983/s', { count: 999_983, burst: 100 }, 100],
  ['1000000/s', { count: 1_000_000, burst: 1_000_000 }, 100],
  ['1/d:burst=365', { count: 1, unit: 'd', burst: 365 }, 20 * 86_400_000],
])('no rate is rounded: %s', (_, rate, ms) => {
  const limit = limitOf(rate);
  const take = taker(rate);
  const perMs = limit.count / { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[limit.unit];
  let burst = 0;
  while (take('a', start).isAllowed) burst++;
  expect(burst).toBe(limit.burst);
  let allowed = 0;
  const steps = Math.ceil(ms * perMs * 2);
  for (let i = 1; i <= steps; i++) if (take('a', start + (i / steps) * ms).isAllowed) allowed++;
  expect(Math.abs(allowed - ms * perMs)).toBeLessThanOrEqual(1);
});

test('a request whose time is earlier than that of one before it is limited as well', () => {
  // Of a clock that each request looks at, and once more before it is refused.
  const times = [0, -1, 0, -2, 0, -500, 1];
  const limiter = new RateLimiter(limitOf({ unit: 'd', burst: 2 }), newMemory(), () => start + (times.shift() ?? 2));
  expect(Array.from({ length: 4 }, () => limiter.take('a').isAllowed)).toEqual([true, true, false, false]);
  expect(times).toEqual([]);
});

test('each limit has buckets of its own, and each client', () => {
  const memory = newMemory();
  const [one, same, other] = [{}, {}, { burst: 2 }].map((rate) => taker(rate, memory));
  expect(one?.('a', start).isAllowed).toBe(true);
  expect(same?.('a', start).isAllowed).toBe(false);
  expect(same?.('b', start).isAllowed).toBe(true);
  expect(other?.('a', start).isAllowed).toBe(true);
});

const crowd = repetitions({ few: 50_000, all: 1_000_000 });
test(`${crowd} clients take no more memory, and free none of those that are at their limit`, { tags: 'long' }, () => {
  const memory = newMemory();
  const take = taker({ unit: 'h', burst: 10 }, memory);
  const limited = Array.from({ length: 1000 }, (_, i) => `limited ${i}`);
  for (const name of limited) for (let i = 0; i < 10; i++) take(name, start);
  const before = [new Uint8Array(memory, 0, rangeOf('buckets').start).slice(), memory.byteLength];
  let refused = 0;
  for (let i = 0; i < crowd; i++) if (!take(`spoofed ${i}`, start + i / 1000).isAllowed) refused++;
  expect(refused).toBe(0);
  expect(limited.filter((name) => take(name, start + 1000).isAllowed)).toEqual([]);
  // Nothing was written outside of the table.
  expect([new Uint8Array(memory, 0, rangeOf('buckets').start).slice(), memory.byteLength]).toEqual(before);
});

test('50,000 clients have their own buckets', () => {
  const take = taker({ unit: 'd' });
  const allowed = (): number =>
    Array.from({ length: 50_000 }, (_, i) => take(`client ${i}`, start)).filter(({ isAllowed }) => isAllowed).length;
  expect(allowed()).toBe(50_000);
  expect(allowed()).toBe(0);
});

test('a new client takes the place of the fullest bucket of its set', () => {
  const memory = new SharedArrayBuffer(128); // one set of sixteen
  const table = new BucketTable({ memory, start: 0, bytes: 128 }, { cost: 10, capacity: 1000, maxLag: 0 });
  const take = (client: number, time: number) => table.take((client + 1) << 8, 0, time);
  for (let client = 0; client < 16; client++) for (let i = 0; i <= client; i++) take(client, 0);
  expect(take(100, 0)).toBe(10); // takes the place of 0, which has used 10
  expect(take(0, 0)).toBe(10); // and 0 that of 100
  for (let client = 1; client < 16; client++) expect(take(client, 0), `client ${client}`).toBe(10 * (client + 2));
});

/** Calls `between` before the n-th atomic operation of `run`. @returns how many there were */
function interrupt(n: number, run: () => void, between: () => void): number {
  const { load, compareExchange } = Atomics;
  let count = 0;
  const restore = () => Object.assign(Atomics, { load, compareExchange });
  const before =
    (operation: (...args: never[]) => unknown) =>
    (...args: never[]) => {
      if (++count === n) {
        restore();
        between();
        Object.assign(Atomics, counting);
      }
      return operation(...args);
    };
  const counting = { load: before(load), compareExchange: before(compareExchange) };
  Object.assign(Atomics, counting);
  try {
    run();
  } finally {
    restore();
  }
  return count;
}

test('wherever another event loop comes between, a client gets its burst and no more', async () => {
  vi.resetModules(); // that of another event loop has variables of its own
  const other = await import('../../src/rate-limit/bucket-table.ts');
  const rules = { cost: 10, capacity: 10, maxLag: 5 };
  const [client, neighbour] = [100, 200];
  const now = 2 ** 36 + 5000;
  for (const earlier of [0, 3, 16]) {
    for (const between of [[client], [neighbour, client], [client, neighbour]]) {
      for (let n = 1, count = n; n <= count; n++) {
        const part = { memory: new SharedArrayBuffer(128), start: 0, bytes: 128 }; // one set of sixteen
        const tables = [new BucketTable(part, rules), new other.BucketTable(part, rules)] as const;
        const take = (table: 0 | 1, who: number, time: number) => tables[table].take((who + 1) << 8, 0, time) <= 10;
        // Buckets that are full again, the fullest last. The low half of the time of now is larger than theirs.
        for (let i = 0; i < earlier; i++) take(0, i, 2 ** 33 + 1000 - 20 * i);
        const allowed: boolean[] = [];
        count = interrupt(
          n,
          () => allowed.push(take(0, client, now)),
          () => allowed.push(...between.map((who) => take(1, who, now) && who === client)),
        );
        allowed.push(take(0, client, now), take(1, client, now));
        expect(allowed.filter(Boolean).length, `${earlier} ${between} ${n} of ${count}`).toBe(1);
      }
    }
  }
});

test('threads that use the same buckets at the same time allow exactly as many', async () => {
  const memory = newMemory();
  const names = Array.from({ length: 20_000 }, (_, i) => `client ${i}`);
  const burst = 3;
  const limit = limitOf({ count: 1, unit: 'd', burst });
  // The table is full of buckets that have filled again: each new client takes the place of another.
  const take = taker(limit, memory);
  for (let i = 0; i < 1_000_000; i++) take(`earlier ${i}`, i);
  // Each thread asks `burst` times for each client: all threads together get `burst`. New clients all the time, in the same
  // order, so that the threads meet at the same words of the table.
  const program = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(${JSON.stringify(import.meta.resolve('../../dist/rate-limit/limiter.js'))}).then(({ RateLimiter }) => {
      const { limit, memory, names, gate } = workerData;
      const limiter = new RateLimiter(limit, memory, () => 1e9);
      const allowed = new Uint8Array(names.length);
      Atomics.add(gate, 0, 1);
      while (Atomics.load(gate, 0) < 4);
      names.forEach((name, i) => {
        for (let n = 0; n < ${burst}; n++) if (limiter.take(name).isAllowed) allowed[i]++;
      });
      parentPort.postMessage(allowed);
    });`;
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const counts = await Promise.all(
    Array.from(
      { length: 4 },
      () =>
        new Promise<Uint8Array>((resolve, reject) => {
          const workerData = { limit, memory, names, gate };
          new Worker(program, { eval: true, workerData }).once('message', resolve).once('error', reject);
        }),
    ),
  );
  const wrong = names.filter((_, i) => counts.reduce((sum, allowed) => sum + (allowed[i] ?? 0), 0) !== burst);
  expect(wrong).toEqual([]);
});
