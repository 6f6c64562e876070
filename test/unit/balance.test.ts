// Which worker gets a connection, and which connections are shed when the server is near its limit.
import { describe, expect, test } from 'vitest';
import { responsive } from '../../src/balance/balancer.ts';
import { divide } from '../../src/balance/divide.ts';
import { roundRobin } from '../../src/balance/round-robin.ts';
import { slowestFirst } from '../../src/balance/slowest.ts';

const some = (...ids: number[]) => ids.map((id) => ({ id, generation: 1, active: 0, isUnresponsive: false }));

describe('round robin', () => {
  test('picks each candidate in turn, whatever their order', () => {
    const next = roundRobin();
    const picked = [1, 2, 3, 1, 2, 3].map(() => next(some(3, 1, 2))?.id);
    expect(picked).toEqual([1, 2, 3, 1, 2, 3]);
  });

  test('skips no candidate when others come and go', () => {
    const next = roundRobin();
    expect(next(some(1, 2, 3))?.id).toBe(1);
    expect(next(some(2, 3, 4))?.id).toBe(2);
    expect(next(some(1, 3, 4))?.id).toBe(3);
    expect(next(some(4, 1, 3))?.id).toBe(4);
    expect(next(some(5, 3))?.id).toBe(5);
    expect(next(some(5, 3))?.id).toBe(3);
  });

  test('picks a candidate on trial as well as the one with the same id that it may replace', () => {
    const next = roundRobin();
    const candidates = [...some(1, 2), { ...some(1)[0], generation: 2 }] as ReturnType<typeof some>;
    const picked = [1, 2, 3, 4].map(() => next(candidates));
    expect(picked.map((one) => [one?.id, one?.generation])).toEqual([
      [1, 1],
      [1, 2],
      [2, 1],
      [1, 1],
    ]);
  });

  test('picks none without candidates', () => expect(roundRobin()([])).toBeUndefined());
});

test('unresponsive candidates are left out, unless all are unresponsive', () => {
  const [one, two] = [
    { id: 1, generation: 1, active: 1, isUnresponsive: true },
    { id: 2, generation: 1, active: 1, isUnresponsive: false },
  ];
  expect(responsive([one, two])).toEqual([two]);
  expect(responsive([one])).toEqual([one]);
});

test.each([
  [10, 3, [4, 3, 3]],
  [9, 3, [3, 3, 3]],
  [1, 3, [1, 1, 1]],
])('a limit of %i is divided among %i', (total, parts, shares) => expect(divide(total, parts)).toEqual(shares));

describe('the slowest connections', () => {
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

  test('are none while each client has kept the server waiting for less than a second, or the app is busy', () => {
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
