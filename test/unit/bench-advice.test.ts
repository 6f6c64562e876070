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
    rounds: (speeds[i] ?? []).map((requestsPerSecond) => roundOf({ requestsPerSecond })),
  })),
});

type Case = [title: string, speeds: number[][], model: string, isWorthIt: boolean, because: string, confidence: string];

test.each<Case>([
  [
    'all models are equal',
    [
      [100, 101],
      [102, 103],
      [101, 104],
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
    'no significant difference in requests/s: ',
    'a toss-up',
  ],
  ['nothing was measured', [[], [], []], 'prefork', false, 'no significant difference', 'a toss-up'],
])('%s', (_, speeds, model, isWorthIt, because, confidence) => {
  const advice = fastest(measured(speeds), candidates);
  expect(advice).toMatchObject({ model, isWorthIt, confidence });
  expect(advice.because.startsWith(because)).toBe(true);
});
