// What `advise` says of requests on threads, compared with connections on threads.
import { expect, test } from 'vitest';
import type { Cell } from '../../src/bench/results.ts';
import { unitFinding } from '../../src/bench/unit-finding.ts';
import { latencyOf, roundOf } from './bench-round.ts';

type Rounds = readonly (readonly [requestsPerSecond: number, p99: number])[];

const cell = (contender: string, rounds: Rounds): Cell => ({
  contender,
  scenario: 'own',
  connections: 4,
  rounds: rounds.map(([requestsPerSecond, p99]) =>
    roundOf({ requestsPerSecond, requests: requestsPerSecond, latencyMs: latencyOf({ p99 }) }),
  ),
});

const finding = (connections: Rounds, requests: Rounds) =>
  unitFinding('prethread', [cell('prethread', connections), cell('prethread/request', requests)]);

const slow: Rounds = [
  [1000, 50],
  [1010, 52],
  [1005, 51],
];
const quick: Rounds = [
  [2000, 20],
  [2010, 21],
  [2005, 22],
];
/** @returns the rounds with other values of one of both */
const with99 = (rounds: Rounds, p99: number): Rounds => rounds.map(([rate], i) => [rate, p99 + i]);
const withRate = (rounds: Rounds, rate: number): Rounds => rounds.map(([, p99], i) => [rate + i, p99]);

test.each<[title: string, connections: Rounds, requests: Rounds, words: RegExp | undefined]>([
  [
    'small handlers',
    quick,
    withRate(quick, 1000),
    /^prethread\/request is slower: .* \(1,001 instead of 2,005 requests\/s\)$/,
  ],
  [
    'a mixed load',
    slow,
    with99(slow, 10),
    /^prethread\/request keeps quick requests from waiting behind slow ones \(p99 11\.0 ms instead of 51\.0 ms\)$/,
  ],
  [
    'a mixed load of small handlers',
    slow,
    with99(withRate(slow, 500), 10),
    /keeps quick requests .* for a hop between threads a request \(501 instead of 1,005 requests\/s\)$/,
  ],
  ['handlers that are spread better', slow, withRate(slow, 2000), /^prethread\/request is faster: /],
  ['no difference', slow, slow, undefined],
])('%s', (_, connections, requests, words) => {
  const found = finding(connections, requests);
  if (words) expect(found).toMatch(words);
  else expect(found).toBeUndefined();
});

test('it says nothing of a model that was not measured with both', () => {
  expect(unitFinding('prethread', [cell('prethread', slow)])).toBeUndefined();
  expect(unitFinding('prefork', [cell('prefork', slow)])).toBeUndefined();
});
