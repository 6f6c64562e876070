// Who gets a connection, and who has to go when it is crowded.
import { describe, expect, test } from 'vitest';
import { responsive } from '../../src/balance/balancer.ts';
import { divide } from '../../src/balance/divide.ts';
import { roundRobin } from '../../src/balance/round-robin.ts';
import { slowestFirst } from '../../src/balance/slowest.ts';

const some = (...ids: number[]) => ids.map((id) => ({ id, active: 0, isSilent: false }));

describe('round robin', () => {
  test('gives to each in turn, in whatever order they are listed', () => {
    const next = roundRobin();
    const given = [1, 2, 3, 1, 2, 3].map(() => next(some(3, 1, 2))?.id);
    expect(given).toEqual([1, 2, 3, 1, 2, 3]);
  });

  test('skips nobody when one goes and another comes', () => {
    const next = roundRobin();
    expect(next(some(1, 2, 3))?.id).toBe(1);
    expect(next(some(2, 3, 4))?.id).toBe(2);
    expect(next(some(1, 3, 4))?.id).toBe(3);
    expect(next(some(4, 1, 3))?.id).toBe(4);
    expect(next(some(5, 3))?.id).toBe(5);
    expect(next(some(5, 3))?.id).toBe(3);
  });

  test('gives nothing when there is nobody', () => expect(roundRobin()([])).toBeUndefined());
});

test('those who do not answer get nothing, unless nobody does', () => {
  const [one, two] = [
    { id: 1, active: 1, isSilent: true },
    { id: 2, active: 1, isSilent: false },
  ];
  expect(responsive([one, two])).toEqual([two]);
  expect(responsive([one])).toEqual([one]);
});

test.each([
  [10, 3, [4, 3, 3]],
  [9, 3, [3, 3, 3]],
  [1, 3, [1, 1, 1]],
])('a limit of %i among %i', (total, parts, shares) => expect(divide(total, parts)).toEqual(shares));

describe('the slowest', () => {
  test('come first, at most an eighth of all but at least one', () => {
    const sixteen = Array.from({ length: 16 }, (_, i): [number, number] => [i, 1000 + i]);
    expect(slowestFirst(sixteen)).toEqual([15, 14]);
    expect(
      slowestFirst([
        ['a', 1000],
        ['b', 5000],
        ['c', 2000],
      ]),
    ).toEqual(['b']);
  });

  test('are at most 32', () => {
    const many = Array.from({ length: 1000 }, (_, i): [number, number] => [i, 1000 + i]);
    expect(slowestFirst(many)).toHaveLength(32);
  });

  test('are none while nobody has kept us waiting for a second, or it is the app’s turn', () => {
    expect(
      slowestFirst([
        ['a', 999],
        ['b', 0],
        ['c', -1],
      ]),
    ).toEqual([]);
    expect(slowestFirst([])).toEqual([]);
  });
});
