// The flights that all event loops of a machine share: each has a `SharedFlights` on the same memory.
import { describe, expect, test } from 'vitest';
import type { Landing } from '../../src/cache/flight.ts';
import { KeyHasher } from '../../src/cache/key-hash.ts';
import { SharedFlights } from '../../src/cache/shared-flights.ts';
import { sharedBytes } from '../../src/cache/shared-layout.ts';
import type { FlightPlace } from '../../src/cache/store.ts';
import { now } from '../../src/clock.ts';

const none = (): void => {};

function machine(clock = now) {
  const memory = new SharedArrayBuffer(sharedBytes(1024 ** 2));
  return {
    memory,
    /** @param time one that stands still is that of an event loop that does */
    loop: (time = clock) => new SharedFlights({ memory, hasher: new KeyHasher(Int32Array.of(1, 2, 3, 4)), now: time }),
  };
}

/** Takes the flight of another event loop. @returns how that has ended */
function landingOf(flights: SharedFlights, key: string): Promise<Landing> {
  return new Promise((landed) => expect(flights.take(key, landed)?.isOwn).toBe(false));
}

describe('a flight', () => {
  test.each(['stored', 'unshared', 'failed', 'gone'] as const)(
    'that lands as %s: the others learn that',
    async (how) => {
      const { loop } = machine();
      const [a, b, c] = [loop(), loop(), loop()];
      const own = a.take('key', none) as FlightPlace;
      expect(own.isOwn).toBe(true);
      expect([a.isTaken('key'), b.isTaken('key')]).toEqual([false, true]);
      const others = [landingOf(b, 'key'), landingOf(c, 'key')];
      own.end(how);
      expect(await Promise.all(others)).toEqual([how, how]);
      const next = b.take('key', none) as FlightPlace;
      expect(next.isOwn).toBe(true);
      next.end('gone');
    },
  );

  test('of an event loop that renews it no longer is free after a second', async () => {
    let time = 1e9;
    const { loop } = machine(() => time);
    const [b, c] = [loop(), loop()];
    loop(() => 1e9).take('key', none);
    const landing = landingOf(b, 'key');
    time += 900;
    const isTaken = b.isTaken('key');
    time += 200;
    expect(await landing).toBe('gone');
    expect(isTaken).toBe(true);
    const taken = [b, c].map((one) => one.take('key', none) as FlightPlace);
    expect(taken.map(({ isOwn }) => isOwn)).toEqual([true, false]);
    for (const place of taken) place.end('gone');
  });

  test('is renewed while its event loop turns', async () => {
    const { loop } = machine();
    const [a, b] = [loop(), loop()];
    const own = a.take('key', none) as FlightPlace;
    let isLanded = false;
    const landing = landingOf(b, 'key').finally(() => {
      isLanded = true;
    });
    await new Promise((later) => setTimeout(later, 1500));
    expect(isLanded).toBe(false);
    own.end('stored');
    expect(await landing).toBe('stored');
  });
});

test('the table is bounded: without a place, a flight is that of its event loop', () => {
  const { loop } = machine();
  const [a, b] = [loop(), loop()];
  const places = Array.from({ length: 5000 }, (_, i) => a.take(`/${i}`, none));
  const taken = places.filter((place) => place !== undefined);
  expect(taken.length).toBeGreaterThan(500);
  expect(taken.length).toBeLessThan(5000);
  expect(b.isTaken('/0')).toBe(true);
  for (const place of taken) place.end('gone');
  expect(b.isTaken('/0')).toBe(false);
  b.take('/0', none)?.end('gone');
});

test('whatever an app writes to the table, a flight that waits goes on', async () => {
  const { loop, memory } = machine();
  const [a, b] = [loop(), loop()];
  a.take('key', none);
  const landing = landingOf(b, 'key');
  new Int32Array(memory, 64).fill(-1);
  expect(['stored', 'unshared', 'failed', 'gone']).toContain(await landing);
  new Int32Array(memory, 64).fill(0);
  a.take('other', none)?.end('gone');
});
