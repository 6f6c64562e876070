// The delay before a worker that keeps dying is started again.
import { expect, test } from 'vitest';
import { BackOff } from '../../src/back-off.ts';

test('the first death causes no delay', () => expect(new BackOff().died(0)).toBe(0));

test('each further early death about doubles the delay, up to 30 s', () => {
  const backOff = new BackOff();
  backOff.died(0);
  for (const max of [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]) {
    const delay = backOff.died(999);
    expect(delay).toBeLessThanOrEqual(max);
    expect(delay).toBeGreaterThanOrEqual(max * 0.75 - 1);
  }
});

const afterFive = (): BackOff => {
  const backOff = new BackOff();
  for (let i = 0; i < 5; i++) backOff.died(10);
  return backOff;
};

test('a life of a minute resets the delay', () => {
  const backOff = afterFive();
  expect(backOff.died(60_000)).toBe(0);
  expect(backOff.died(10)).toBe(0);
  expect(backOff.died(10)).toBeGreaterThan(0);
});

test('a life of a second does not reset the delay, but limits it to 500 ms', () => {
  const backOff = afterFive();
  for (let i = 0; i < 30; i++) {
    const delay = backOff.died(1100);
    expect(delay).toBeGreaterThan(0);
    expect(delay).toBeLessThanOrEqual(500);
  }
  expect(backOff.died(10)).toBeGreaterThan(1000);
});

test('lives of a second cause no delay by themselves', () => {
  const backOff = new BackOff();
  for (let i = 0; i < 30; i++) expect(backOff.died(1000)).toBe(0);
});
