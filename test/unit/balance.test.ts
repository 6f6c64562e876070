// Which worker gets a connection, and which connections are shed when the server is near its limit.
import { describe, expect, test } from 'vitest';
import { type Balancer, type Candidate, responsive } from '../../src/balance/balancer.ts';
import { divide } from '../../src/balance/divide.ts';
import { firstIdle } from '../../src/balance/first-idle.ts';
import { createBalancer } from '../../src/balance/index.ts';
import { ipHash } from '../../src/balance/ip-hash.ts';
import { lag } from '../../src/balance/lag.ts';
import { leastConnections } from '../../src/balance/least-connections.ts';
import { LoopSamples } from '../../src/balance/loop-samples.ts';
import { policies } from '../../src/balance/policy.ts';
import { randomTwo } from '../../src/balance/random-two.ts';
import { roundRobin } from '../../src/balance/round-robin.ts';
import { slowestFirst } from '../../src/balance/slowest.ts';
import { weighted } from '../../src/balance/weighted.ts';

type One = { -readonly [K in keyof Candidate]: Candidate[K] };

const idle = { generation: 1, active: 0, isUnresponsive: false, isBusy: false, lagMs: 0, utilization: 0 };
const some = (...ids: number[]): One[] => ids.map((id) => ({ id, ...idle }));
const anyone = { client: { host: '192.0.2.1' } };

/** How often each id is picked. @param clients their addresses, one connection each */
function spread(balancer: Balancer, candidates: readonly Candidate[], clients: readonly string[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const host of clients) {
    const id = balancer(candidates, { client: { host } })?.id ?? 0;
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

const times = (count: number): string[] => Array.from({ length: count }, () => '192.0.2.1');
const clients = (count: number): string[] => Array.from({ length: count }, (_, i) => `10.0.${i >> 8}.${i & 0xff}`);

describe('round robin', () => {
  test('picks each candidate in turn, whatever their order', () => {
    const next = roundRobin();
    const picked = [1, 2, 3, 1, 2, 3].map(() => next(some(3, 1, 2), anyone)?.id);
    expect(picked).toEqual([1, 2, 3, 1, 2, 3]);
  });

  test('gives each of four candidates the same number of 10,000 connections', () => {
    const counts = spread(roundRobin(), some(1, 2, 3, 4), times(10_000));
    expect([...counts.values()]).toEqual([2500, 2500, 2500, 2500]);
  });

  test('skips no candidate when others come and go', () => {
    const next = roundRobin();
    const picked = [some(1, 2, 3), some(2, 3, 4), some(1, 3, 4), some(4, 1, 3), some(5, 3), some(5, 3)];
    expect(picked.map((candidates) => next(candidates, anyone)?.id)).toEqual([1, 2, 3, 4, 5, 3]);
  });

  test('picks a candidate on trial as well as the one with the same id that it may replace', () => {
    const next = roundRobin();
    const candidates = [...some(1, 2), ...onTrial(1)];
    const picked = [1, 2, 3, 4].map(() => next(candidates, anyone));
    expect(picked.map((one) => [one?.id, one?.generation])).toEqual([
      [1, 1],
      [1, 2],
      [2, 1],
      [1, 1],
    ]);
  });
});

describe('weighted', () => {
  test('gives shares by the weights, and mixes the turns', () => {
    const next = weighted([3, 1]);
    const picked = [1, 2, 3, 4, 5, 6, 7, 8].map(() => next(some(1, 2), anyone)?.id);
    expect(picked).toEqual([1, 1, 2, 1, 1, 1, 2, 1]);
    const counts = spread(weighted([3, 1, 1]), some(1, 2, 3), times(10_000));
    expect([counts.get(1), counts.get(2), counts.get(3)]).toEqual([6000, 2000, 2000]);
  });

  test('gives a candidate without a weight 1, and those that are left the share of one that has gone', () => {
    const next = weighted([3]);
    expect(spread(next, some(1, 2), times(400)).get(2)).toBe(100);
    expect(spread(next, some(2, 3), times(400)).get(3)).toBe(200);
  });
});

describe('least connections', () => {
  test('keeps candidates even, also when some of them have connections that stay', () => {
    const next = leastConnections();
    const candidates = some(1, 2, 3, 4);
    for (let i = 0; i < 100; i++) (next(candidates.slice(0, 2), anyone) as One).active++; // kept by 1 and 2
    for (let i = 0; i < 300; i++) (next(candidates, anyone) as One).active++;
    expect(candidates.map(({ active }) => active)).toEqual([100, 100, 100, 100]);
    for (let i = 0; i < 10_000; i++) {
      const one = next(candidates, anyone) as One;
      one.active++;
      const counts = candidates.map(({ active }) => active);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      if (i % 3 > 0) one.active--; // a short one
    }
  });

  test('picks candidates with as many in turn', () => {
    const next = leastConnections();
    expect([1, 2, 3].map(() => next(some(1, 2, 3), anyone)?.id)).toEqual([1, 2, 3]);
  });
});

describe('random two', () => {
  test('picks the one with fewer connections of two different candidates', () => {
    const candidates = some(1, 2, 3);
    for (const [i, one] of candidates.entries()) one.active = i;
    // The first number is the first candidate, the second one the distance to the other.
    const picked = (...numbers: number[]) => randomTwo(() => numbers.shift() ?? 0)(candidates, anyone)?.id;
    expect(picked(0.9, 0)).toBe(1);
    expect(picked(0.9, 0.9)).toBe(2);
    expect(picked(0, 0.9)).toBe(1);
  });

  test('takes the only candidate, and keeps many nearly even', () => {
    const next = randomTwo();
    expect(next(some(7), anyone)?.id).toBe(7);
    const candidates = some(1, 2, 3, 4);
    for (let i = 0; i < 4000; i++) (next(candidates, anyone) as One).active++;
    const counts = candidates.map(({ active }) => active);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThan(20);
  });
});

describe('IP hash', () => {
  test('picks the same candidate for each connection of a client, and all candidates for many clients', () => {
    const [before, after] = [ipHash(), ipHash()];
    for (const host of clients(100)) {
      const client = { host };
      const id = before(some(1, 2, 3), { client })?.id;
      expect(after(some(3, 1, 2), { client })?.id).toBe(id);
    }
    const counts = [...spread(ipHash(), some(1, 2, 3, 4), clients(1000)).values()];
    expect(Math.min(...counts)).toBeGreaterThan(200);
  });

  test.each([2, 4, 8])('moves few clients, and those to the new candidate, when one is added to %i', (count) => {
    const next = ipHash();
    const ids = Array.from({ length: count }, (_, i) => i + 1);
    const added = count + 1;
    const moved = clients(1000).filter((host) => {
      const [before, after] = [some(...ids), some(...ids, added)].map((all) => next(all, { client: { host } })?.id);
      if (before === after) return false;
      expect(after).toBe(added);
      return true;
    });
    expect(moved.length).toBeGreaterThan(0);
    expect(moved.length).toBeLessThanOrEqual((1.5 / added) * 1000);
  });

  test('gives a candidate on trial a part of the clients of the one that it may replace', () => {
    const next = ipHash();
    const client = { host: '192.0.2.1' };
    const { id } = next(some(1, 2), { client }) as Candidate;
    const picked = [1, 2].map(() => next([...some(1, 2), ...onTrial(id)], { client }));
    expect(picked.map((one) => one?.id)).toEqual([id, id]);
    expect(picked.map((one) => one?.generation).sort()).toEqual([1, 2]);
  });

  test.each(['unix', 'unknown'] as const)(
    'picks candidates in turn for clients that have no address (%s)',
    (client) => {
      const next = ipHash();
      expect([1, 2, 3].map(() => next(some(1, 2, 3), { client })?.id)).toEqual([1, 2, 3]);
    },
  );
});

describe('first idle', () => {
  test('picks those that wait for work in turn, and none while all are busy', () => {
    const next = firstIdle();
    const candidates = some(1, 2, 3);
    const [one, two, three] = candidates as [One, One, One];
    two.isBusy = true;
    expect([1, 2, 3].map(() => next(candidates, anyone)?.id)).toEqual([1, 3, 1]);
    one.isBusy = true;
    three.isBusy = true;
    expect(next(candidates, anyone)).toBeUndefined();
    two.isBusy = false;
    expect(next(candidates, anyone)).toBe(two);
  });

  test('looks at no more candidates than it needs', () => {
    let looks = 0;
    const candidates = some(1, 2, 3).map((one) => ({
      ...one,
      get isBusy() {
        looks++;
        return one.id === 1;
      },
    }));
    expect(firstIdle()(candidates, anyone)?.id).toBe(2);
    expect(looks).toBe(2);
  });
});

describe('lag', () => {
  test('picks the least used of those that wait for work, then the one with the fewest connections', () => {
    const next = lag();
    const candidates = some(1, 2, 3);
    const [one, two, three] = candidates as [One, One, One];
    one.utilization = 0.9;
    two.active = 5;
    three.active = 6;
    expect(next(candidates, anyone)).toBe(two);
    three.active = 4;
    expect(next(candidates, anyone)).toBe(three);
    two.isBusy = true;
    three.isBusy = true;
    expect(next(candidates, anyone)).toBe(one);
  });

  test('picks those that are equal in turn', () => {
    const next = lag();
    expect([1, 2, 3].map(() => next(some(1, 2, 3), anyone)?.id)).toEqual([1, 2, 3]);
  });

  test('has a connection wait while one may soon be free, and otherwise picks the one that was free last', () => {
    const next = lag();
    const candidates = some(1, 2).map((one) => ({ ...one, isBusy: true }));
    const [one, two] = candidates as [One, One];
    one.lagMs = 3000;
    two.lagMs = 2;
    expect(next(candidates, anyone)).toBeUndefined();
    two.lagMs = 50;
    expect(next(candidates, anyone)).toBe(two);
  });

  test('while all are busy picks one that serves no connection, however long nobody has looked at it', () => {
    const next = lag();
    const candidates = some(1, 2).map((one) => ({ ...one, isBusy: true }));
    const [blocked, unused] = candidates as [One, One];
    blocked.active = 1;
    blocked.lagMs = 30;
    unused.lagMs = 700;
    expect(next(candidates, anyone)).toBe(unused);
    unused.lagMs = 5;
    expect(next(candidates, anyone)).toBeUndefined();
  });

  test('while nothing tells the blocked one from the slow one has a connection wait for a sign', () => {
    const next = lag();
    const candidates = some(1, 2).map((one) => ({ ...one, isBusy: true, active: 1 }));
    const [blocked, slow] = candidates as [One, One];
    blocked.lagMs = 50;
    slow.lagMs = 48;
    expect(next(candidates, anyone)).toBeUndefined();
    slow.lagMs = 10; // it has come to something meanwhile
    expect(next(candidates, anyone)).toBe(slow);
    blocked.lagMs = 100;
    slow.lagMs = 100;
    expect(next(candidates, anyone)).toBeDefined();
  });
});

describe('what looks at an event loop tell', () => {
  test('the part of the time that it is busy, of late', () => {
    const loop = new LoopSamples(0);
    for (let time = 10; time <= 10_000; time += 10) loop.add(time % 40 > 0, time);
    expect(loop.utilizationAt(10_000)).toBeCloseTo(0.75, 1);
    expect(loop.utilizationAt(10_500)).toBeCloseTo(0.375, 1);
    expect(loop.utilizationAt(20_000)).toBeCloseTo(0, 3);
  });

  test('for how long it has been seen to be busy', () => {
    const loop = new LoopSamples(0);
    expect(loop.lagAt(90)).toBe(0);
    loop.add(false, 100);
    loop.add(true, 150);
    loop.add(true, 155);
    expect(loop.lagAt(160)).toBe(10);
    loop.sawProgress();
    expect(loop.lagAt(180)).toBe(0);
    loop.add(true, 190);
    loop.add(false, 195);
    expect(loop.lagAt(200)).toBe(0);
  });
});

test.each(policies)('%s picks none without candidates, and the only one that there is', (policy) => {
  const next = createBalancer({ balance: policy, weights: [] });
  expect(next([], anyone)).toBeUndefined();
  expect(next(some(3), anyone)?.id).toBe(3);
});

function onTrial(id: number): One[] {
  return some(id).map((one) => ({ ...one, generation: 2 }));
}

test('unresponsive candidates are left out, unless all are unresponsive', () => {
  const [one, two] = [
    { ...idle, id: 1, isUnresponsive: true },
    { ...idle, id: 2 },
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
