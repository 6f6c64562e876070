// Whether two targets differ, by their rounds.
import { describe, expect, test } from 'vitest';
import { difference } from '../../src/bench/difference.ts';

/** Reproducible numbers with a normal distribution. */
function normal(seed: number): () => number {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 1) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** @returns rounds of two targets: `ratio` apart, with a spread of `deviation` in each and a drift in both */
function sample(rounds: number, ratio: number, deviation: number, next: () => number) {
  const pairs = Array.from({ length: rounds }, () => {
    const speed = 1000 * Math.exp(0.3 * next());
    return [speed * ratio * Math.exp(deviation * next()), speed * Math.exp(deviation * next())] as const;
  });
  return [pairs.map(([first]) => first), pairs.map(([, second]) => second)] as const;
}

const share = (ratio: number, deviation: number, rounds: number, wanted: string): number => {
  const next = normal(7);
  const runs = Array.from({ length: 1000 }, () => difference(...sample(rounds, ratio, deviation, next)).result);
  return runs.filter((result) => result === wanted).length / runs.length;
};

describe('of 1,000 comparisons', () => {
  test.each([3, 4, 6, 12, 50])('of equal targets in %d rounds at most 5 % find a difference', (rounds) => {
    for (const deviation of [0.01, 0.1, 0.5])
      expect(share(1, deviation, rounds, 'different')).toBeLessThanOrEqual(0.06);
  });

  test('with little spread nearly all find what is there', () => {
    expect(share(1.2, 0.01, 4, 'different')).toBeGreaterThan(0.99);
    expect(share(1 / 1.2, 0.01, 4, 'different')).toBeGreaterThan(0.99);
    expect(share(1, 0.01, 4, 'same')).toBeGreaterThan(0.99);
  });

  test('with much spread nearly all are unclear', () => {
    expect(share(1, 0.3, 4, 'unclear')).toBeGreaterThan(0.9);
    expect(share(1.02, 0.3, 12, 'unclear')).toBeGreaterThan(0.9);
  });

  test('as many rounds as most estimates say are enough for most', () => {
    const next = normal(11);
    const estimates = Array.from({ length: 1000 }, () => difference(...sample(6, 1, 0.1, next)))
      .flatMap(({ roundsNeeded }) => roundsNeeded ?? [])
      .sort((a, b) => a - b);
    const median = estimates[estimates.length >> 1] ?? 0;
    expect(median).toBeGreaterThan(12);
    expect(share(1, 0.1, median, 'unclear')).toBeLessThan(0.4);
    expect(share(1, 0.1, 2 * median, 'unclear')).toBeLessThan(0.05);
  });
});

test.each([
  ['the first is higher', [200, 201, 199], [100, 100, 101], true],
  ['the second is higher', [100, 100, 101], [200, 201, 199], false],
])('%s', (_, values, others, isHigher) => {
  expect(difference(values, others)).toEqual({ isHigher, result: 'different' });
});

test.each([
  ['no round', [], []],
  ['a single round', [100], [200]],
])('%s has no spread, so nothing can be said', (_, values, others) => {
  expect(difference(values, others)).toMatchObject({ result: 'unclear' });
  expect(difference(values, others).roundsNeeded).toBeUndefined();
});

test('rounds that only one target has do not count', () => {
  expect(difference([100, 101, 100, 1, 1], [100, 101, 100]).result).toBe('same');
});

test('a round without a response counts as very slow, not as infinitely slow', () => {
  const { result, roundsNeeded } = difference([100, 101, 100, 99], [100, 0, 100, 100]);
  expect(result).toBe('unclear');
  expect(roundsNeeded).toBeLessThan(Number.POSITIVE_INFINITY);
});
