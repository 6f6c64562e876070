// The places that event loops share: never more than the limit, in the order of waiting, and what becomes of the slots of
// event loops that have died.
import { expect, test } from 'vitest';
import { maxSlots, placesBytes } from '../../src/overload/layout.ts';
import { type PlaceLimits, Places } from '../../src/overload/places.ts';
import { SlotPool } from '../../src/overload/slot-pool.ts';
import { SlotRanges } from '../../src/overload/slot-ranges.ts';
import { SlotTable } from '../../src/overload/slots.ts';

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
  const many = Array.from({ length: 7 }, () => ranges.lease(maxSlots).range.count);
  expect(many).toEqual(Array(7).fill(maxSlots / 8));
  expect(() => ranges.lease(maxSlots)).toThrow(/at most 65536 processes and threads/);
});

test('what a dead thread has left is cleared by its host', () => {
  const server = new Server();
  const pool = new SlotPool(server.part, { first: 7, count: 3 });
  const [one, two] = [pool.lease(), pool.lease()];
  expect([one.slot.index, two.slot.index]).toEqual([7, 8]);
  const [dead, alive] = [server.loop(one.slot.index), server.loop(two.slot.index)];
  expect([dead.take(server.claim()), alive.take(server.claim()), alive.take(server.claim())]).toEqual([
    true,
    true,
    false,
  ]);
  one.release();
  expect(alive.take(server.claim())).toBe(true);
  expect(pool.lease().slot).toEqual({ index: 7, isShared: false });
});

test('threads for which no slot is free share the last one, and keep to the limit', () => {
  const server = new Server();
  const pool = new SlotPool(server.part, { first: 3, count: 2 });
  const slots = [pool.lease(), pool.lease(), pool.lease()].map(({ slot }) => slot);
  expect(slots).toEqual([
    { index: 3, isShared: false },
    { index: 4, isShared: true },
    { index: 4, isShared: true },
  ]);
  const [a, b, c] = slots.map(({ index }) => server.loop(index));
  expect([a, b, c].map((loop) => loop?.take(server.claim()))).toEqual([true, true, false]);
  b?.free();
  expect([c, a].map((loop) => loop?.take(server.claim()))).toEqual([true, false]);
});

test('of two event loops that claim the last place at the same time at most one has it, and no place is lost', () => {
  const server = new Server();
  const other = server.loop(0, { maxInflight: 1 });
  let isOtherFirst = true;
  // `take` looks at the clock after it has seen that there is a place, and before it takes it.
  const clock = () => {
    if (isOtherFirst) {
      isOtherFirst = false;
      expect(other.take(server.claim())).toBe(true);
    }
    return server.time;
  };
  const late = new Places(server.table, 1, { maxInflight: 1, queueMax: 0 }, clock);
  expect(late.take(server.claim())).toBe(false);
  other.free();
  expect([late.take(server.claim()), other.take(server.claim())]).toEqual([true, false]);
});
