// Who is recommended when nobody loses requests: by the figures, and the default where they do not speak.
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

type Case = [what: string, speeds: number[][], model: string, isWorthIt: boolean, because: string, sure: string];

test.each<Case>([
  [
    'all alike',
    [
      [100, 101],
      [102, 103],
      [101, 104],
    ],
    'prefork',
    false,
    'no difference worth having in requests/s: ',
    'sure',
  ],
  [
    'the default is best',
    [
      [200, 201],
      [100, 101],
      [100, 101],
    ],
    'prefork',
    false,
    'it answers most requests/s: ',
    'sure',
  ],
  [
    'another is best',
    [
      [100, 101],
      [100, 101],
      [200, 201],
    ],
    'hybrid',
    true,
    'it answers most requests/s: ',
    'sure',
  ],
  [
    'two others are better, and alike',
    [
      [100, 101],
      [200, 202],
      [201, 203],
    ],
    'prethread',
    true,
    'prethread and hybrid answer most requests/s, and are alike: ',
    'sure',
  ],
  [
    'alike because nothing is steady',
    [
      [100, 200],
      [150, 250],
      [90, 190],
    ],
    'prefork',
    false,
    'no difference worth having in requests/s: ',
    'a toss-up',
  ],
  ['nothing was measured', [[], [], []], 'prefork', false, 'no difference', 'a toss-up'],
])('%s', (_, speeds, model, isWorthIt, because, confidence) => {
  const advice = fastest(measured(speeds), candidates);
  expect(advice).toMatchObject({ model, isWorthIt, confidence });
  expect(advice.because.startsWith(because)).toBe(true);
});
