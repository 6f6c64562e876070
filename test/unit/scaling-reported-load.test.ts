// The load of a member as it was last heard of, on a made-up clock.
import { expect, test, vi } from 'vitest';
import { HeardLoad } from '../../src/scaling/reported-load.ts';
import { lookEvery } from '../../src/scaling/scaler.ts';

let ms = 0;
vi.mock(import('../../src/clock.ts'), async (original) => ({ ...(await original()), now: () => ms }));

/** What each of `count` looks finds, `apart` milliseconds from one another. */
function looks(load: HeardLoad, count: number, apart = lookEvery): (number | undefined)[] {
  return Array.from({ length: count }, () => {
    ms += apart;
    return load.value;
  });
}

test('a member that reports has the load that it reports, and one that is not measured has none', () => {
  const load = new HeardLoad();
  expect(load.value).toBeUndefined();
  load.expect();
  expect(load.value).toBe(0);
  load.heard(0.4);
  expect(looks(load, 2)).toEqual([0.4, 0.4]);
});

test('a member that stops to report is busy: its event loop is blocked', () => {
  const load = new HeardLoad();
  load.heard(0.1);
  expect(looks(load, 4)).toEqual([0.1, 0.1, 1, 1]);
  load.heard(0.2);
  expect(load.value).toBe(0.2);
});

test('where whoever looks is late, too, a member that has reported in the meantime is not busy', () => {
  const load = new HeardLoad();
  load.heard(0.1);
  // After each look what has come is read.
  for (let i = 0; i < 5; i++) {
    expect(looks(load, 1, 8 * lookEvery)).toEqual([0.1]);
    load.heard(0.1);
  }
});
