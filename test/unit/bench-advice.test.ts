// The recommended model of an app that loses no requests: the fastest, or the default if there is no difference.
import { expect, test } from 'vitest';
import { fastest } from '../../src/bench/advice.ts';
import type { Results } from '../../src/bench/results.ts';
import { results } from '../fixtures/bench-results.ts';
import { roundOf } from './bench-round.ts';

const candidates = [{ name: 'prefork' }, { name: 'prethread' }, { name: 'hybrid' }];

/** @param speeds requests/s of each candidate, one for each round */
const measured = (speeds: readonly (readonly number[])[]): Results => ({
  ...results,
  cells: candidates.map(({ name: contender }, i) => ({
    contender,
    scenario: 'own',
    connections: 4,
    rounds: (speeds[i] ?? []).map((requestsPerSecond) => roundOf({ requestsPerSecond, requests: requestsPerSecond })),
  })),
});

type Case = [title: string, speeds: number[][], model: string, isWorthIt: boolean, because: string, confidence: string];

test.each<Case>([
  [
    'all models are equal',
    [
      [100, 101, 100],
      [102, 103, 102],
      [101, 104, 102],
    ],
    'prefork',
    false,
    'no significant difference in requests/s: ',
    'sure',
  ],
  [
    'the default is the best',
    [
      [200, 201],
      [100, 101],
      [100, 101],
    ],
    'prefork',
    false,
    'highest requests/s: ',
    'sure',
  ],
  [
    'another model is the best',
    [
      [100, 101],
      [100, 101],
      [200, 201],
    ],
    'hybrid',
    true,
    'highest requests/s: ',
    'sure',
  ],
  [
    'two other models tie',
    [
      [100, 101],
      [200, 202],
      [201, 203],
    ],
    'prethread',
    true,
    'prethread and hybrid tie for the highest requests/s: ',
    'sure',
  ],
  [
    'the ranges overlap',
    [
      [100, 200],
      [150, 250],
      [90, 190],
    ],
    'prefork',
    false,
    'the rounds spread too far to tell prefork, prethread and hybrid apart by requests/s: prefork 150 (100 to 200), ',
    'a toss-up',
  ],
  [
    'two other models cannot be told apart',
    [
      [100, 101, 100],
      [200, 320, 250],
      [300, 220, 240],
    ],
    'prethread',
    true,
    'the rounds spread too far to tell prethread and hybrid apart by requests/s: prefork 100 (100 to 101), ',
    'a toss-up',
  ],
  [
    'a single round has no spread',
    [[100], [200], [300]],
    'prefork',
    false,
    'the rounds spread too far to tell prefork, prethread and hybrid apart by requests/s: prefork 100, prethread 200, ',
    'a toss-up',
  ],
  [
    'a drift of the machine makes all models slower by the same factor',
    [
      [100, 70, 50],
      [150, 105, 76],
      [90, 64, 45],
    ],
    'prethread',
    true,
    'highest requests/s: ',
    'fairly sure',
  ],
  [
    'a model that was clearly slower was not measured on',
    [
      [10, 11],
      [100, 101, 100, 102],
      [200, 201, 202, 201],
    ],
    'hybrid',
    true,
    'highest requests/s: prefork 10.5, ',
    'sure',
  ],
  [
    'a model answered nothing',
    [
      [100, 101, 100],
      [0, 0, 0],
      [101, 100, 101],
    ],
    'prefork',
    false,
    'prefork and hybrid tie for the highest requests/s: prefork 100, prethread no answer, hybrid 101',
    'sure',
  ],
  ['nothing was measured', [[], [], []], 'prefork', false, 'no model answered a request', 'a toss-up'],
])('%s', (_, speeds, model, isWorthIt, because, confidence) => {
  const advice = fastest(measured(speeds), candidates);
  expect(advice).toMatchObject({ model, isWorthIt, confidence });
  expect(advice.because.startsWith(because)).toBe(true);
});

test('the estimate of the rounds needed grows with their spread, and is absent for a single round', () => {
  const needed = (...speeds: number[][]) => fastest(measured(speeds), candidates).roundsNeeded;
  const level = [100, 100, 100, 100];
  const some = needed(level, [90, 110, 105, 95], level) ?? 0;
  const more = needed(level, [70, 130, 115, 85], level) ?? 0;
  expect(some).toBeGreaterThan(4);
  expect(more).toBeGreaterThan(4 * some);
  expect(needed([100], [200], [300])).toBeUndefined();
  expect(needed(level, level, level)).toBeUndefined();
});
