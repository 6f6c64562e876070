// The places that event loops share: never more than the limit, in the order of waiting, and what becomes of the slots of
// event loops that have died.
import { once } from 'node:events';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { maxSlots, placesBytes, slotBytes } from '../../src/overload/layout.ts';
import { type PlaceLimits, Places } from '../../src/overload/places.ts';
import { RefusalReports } from '../../src/overload/refusal-reports.ts';
import { SlotPool } from '../../src/overload/slot-pool.ts';
import { SlotRanges } from '../../src/overload/slot-ranges.ts';
import { SlotTable } from '../../src/overload/slots.ts';
import { root } from '../helpers/server.ts';

class Server {
  readonly part = { memory: new SharedArrayBuffer(placesBytes), start: 0 };
  readonly table = new SlotTable(this.part);
  time = 1000;

  loop(slot: number, limits: Partial<PlaceLimits> = {}): Places {
    return new Places(this.table, slot, { maxInflight: 2, queueMax: 2, ...limits }, () => this.time);
  }

  claim(isPriority = false, since = this.time) {
    return { since, isPriority };
  }
}

test('event loops never have more places together than there are', () => {
  const server = new Server();
  const [a, b] = [server.loop(0), server.loop(5)];
  expect([a.take(server.claim()), b.take(server.claim())]).toEqual([true, true]);
  expect([a.take(server.claim()), b.take(server.claim())]).toEqual([false, false]);
  a.free();
  expect([b.take(server.claim()), a.take(server.claim())]).toEqual([true, false]);
});

test('event loops share the limit on waiting requests', () => {
  const server = new Server();
  const [a, b] = [server.loop(0), server.loop(1)];
  expect([a.join(), b.join(), a.join(), b.join()]).toEqual([true, true, false, false]);
  expect(a.areWanted).toBe(true);
  b.leave();
  expect([a.join(), b.join()]).toEqual([true, false]);
  a.leave();
  a.leave();
  expect(b.areWanted).toBe(false);
});

test('generations with different limits share one count', () => {
  const server = new Server();
  const [old, young] = [server.loop(0, { maxInflight: 1 }), server.loop(1, { maxInflight: 3 })];
  expect([young.take(server.claim()), young.take(server.claim())]).toEqual([true, true]);
  expect([old.take(server.claim()), young.take(server.claim())]).toEqual([false, true]);
});

test('a request that has waited longer in another event loop goes first', () => {
  const server = new Server();
  const [a, b] = [server.loop(0, { maxInflight: 1 }), server.loop(1, { maxInflight: 1 })];
  const older = server.claim();
  a.announce(older, undefined, server.time + 2000);
  server.time += 1000;
  expect(b.ahead(server.claim())).toBe(1);
  expect(b.take(server.claim())).toBe(false);
  expect(b.take(server.claim(true))).toBe(true); // priority
  b.free();
  expect(a.take(older)).toBe(true);
});

test('a place beyond those that are kept for others is free', () => {
  const server = new Server();
  const [a, b] = [server.loop(0), server.loop(1)];
  a.announce(server.claim(false, 100), undefined, server.time + 2000);
  expect([b.take(server.claim()), b.take(server.claim())]).toEqual([true, false]);
});

test('a request with priority goes before all without it, in every event loop', () => {
  const server = new Server();
  const [a, b] = [server.loop(0, { maxInflight: 1 }), server.loop(1, { maxInflight: 1 })];
  a.announce(undefined, server.claim(true), server.time + 2000);
  expect(b.take(server.claim(false, 1))).toBe(false);
  expect(b.take(server.claim(true, 1))).toBe(true);
});

test('nothing is kept for an event loop that is late, because it is busy', () => {
  const server = new Server();
  const [a, b] = [server.loop(0, { maxInflight: 1 }), server.loop(1, { maxInflight: 1 })];
  a.announce(server.claim(false, 1), server.claim(true, 1), server.time + 2);
  expect(b.take(server.claim())).toBe(false);
  server.time += 50;
  expect(b.take(server.claim())).toBe(true);
});

test('times are compared when the words of the clock overflow', () => {
  const server = new Server();
  server.time = 2 ** 31 - 500;
  const [a, b] = [server.loop(0, { maxInflight: 1 }), server.loop(1, { maxInflight: 1 })];
  const older = server.claim();
  server.time += 1000;
  a.announce(older, undefined, server.time + 2000);
  expect(b.take(server.claim())).toBe(false);
  expect(a.take(older)).toBe(true);
});

test('what a dead process has left is cleared, and its slots are given again', () => {
  const server = new Server();
  const clear = (start: number, bytes: number) => new Uint8Array(server.part.memory, start, bytes).fill(0);
  const ranges = new SlotRanges(clear);
  const [first, second, third] = [ranges.lease(2), ranges.lease(1), ranges.lease(2)];
  expect([first, second, third].map(({ range }) => range.first)).toEqual([0, 2, 3]);
  const dead = server.loop(second.range.first);
  const alive = server.loop(third.range.first);
  expect([dead.take(server.claim()), dead.take(server.claim()), dead.join(), dead.join()]).not.toContain(false);
  expect([alive.take(server.claim()), alive.join()]).toEqual([false, false]);
  second.release();
  expect([alive.take(server.claim()), alive.join()]).toEqual([true, true]);
  expect(ranges.lease(2).range.first).toBe(5);
  expect(ranges.lease(1).range.first).toBe(2);
  expect(() => ranges.lease(maxSlots)).toThrow(/max-connections/);
});

test('what a dead thread has left is cleared by its host', () => {
  const server = new Server();
  const pool = new SlotPool(server.part, { first: 7, count: 2 });
  const [one, two] = [pool.lease(), pool.lease()];
  expect([one.slot, two.slot]).toEqual([7, 8]);
  expect(() => pool.lease()).toThrow(/no slot/);
  const [dead, alive] = [server.loop(one.slot), server.loop(two.slot)];
  expect([dead.take(server.claim()), alive.take(server.claim()), alive.take(server.claim())]).toEqual([
    true,
    true,
    false,
  ]);
  one.release();
  expect(alive.take(server.claim())).toBe(true);
  expect(pool.lease().slot).toBe(7);
  expect(slotBytes % 8).toBe(0);
});

test('each reason is reported at once and then rarely, with all that any event loop has counted', () => {
  const server = new Server();
  const [a, b] = [0, 1].map(() => new RefusalReports(server.table, () => server.time));
  expect([a?.add('shed'), b?.add('shed'), a?.add('queue-full')]).toEqual([1, 0, 1]);
  server.time += 9999;
  expect(a?.add('shed')).toBe(0);
  server.time += 1;
  expect(b?.add('shed')).toBe(3);
});

test('threads that take and free places at the same time are never too many, and lose none', async () => {
  const limits = { maxInflight: 3, queueMax: 5 };
  const server = new Server();
  const seen = new Int32Array(new SharedArrayBuffer(12)); // in the app, most in the app, taken
  const url = (name: string) => pathToFileURL(path.join(root, 'dist/overload', name)).href;
  const code = `
    const { workerData: { part, seen, limits, slot } } = require('node:worker_threads');
    (async () => {
      const { Places } = await import(${JSON.stringify(url('places.js'))});
      const { SlotTable } = await import(${JSON.stringify(url('slots.js'))});
      const places = new Places(new SlotTable(part), slot, limits, () => 1);
      for (let i = 0; i < 20_000; i++) {
        if (!places.take({ since: 1, isPriority: false })) continue;
        const now = Atomics.add(seen, 0, 1) + 1;
        for (let most = Atomics.load(seen, 1); now > most; most = Atomics.load(seen, 1))
          Atomics.compareExchange(seen, 1, most, now);
        Atomics.add(seen, 2, 1);
        Atomics.sub(seen, 0, 1);
        places.free();
      }
    })();`;
  const threads = [0, 1, 2, 3, 4, 5].map(
    (slot) => new Worker(code, { eval: true, workerData: { part: server.part, seen, limits, slot } }),
  );
  await Promise.all(threads.map((thread) => once(thread, 'exit')));
  expect(seen[1]).toBeLessThanOrEqual(limits.maxInflight);
  expect(seen[2]).toBeGreaterThan(0);
  const after = server.loop(0, limits);
  const taken = Array.from({ length: 4 }, () => after.take(server.claim()));
  expect(taken).toEqual([true, true, true, false]);
});
