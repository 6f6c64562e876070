// How long what keeps dying has to wait.
import { expect, test } from 'vitest';
import { BackOff } from '../../src/back-off.ts';

test('the first death costs no wait', () => expect(new BackOff().died(0)).toBe(0));

test('each further early death about doubles the wait, up to half a minute', () => {
  const backOff = new BackOff();
  backOff.died(0);
  for (const most of [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]) {
    const delay = backOff.died(999);
    expect(delay).toBeLessThanOrEqual(most);
    expect(delay).toBeGreaterThanOrEqual(most * 0.75 - 1);
  }
});

const afterFive = (): BackOff => {
  const backOff = new BackOff();
  for (let i = 0; i < 5; i++) backOff.died(10);
  return backOff;
};

test('a life of a minute makes early deaths forgotten', () => {
  const backOff = afterFive();
  expect(backOff.died(60_000)).toBe(0);
  expect(backOff.died(10)).toBe(0);
  expect(backOff.died(10)).toBeGreaterThan(0);
});

test('a life of a second does not, but waits no more than half a second', () => {
  const backOff = afterFive();
  for (let i = 0; i < 30; i++) {
    const delay = backOff.died(1100);
    expect(delay).toBeGreaterThan(0);
    expect(delay).toBeLessThanOrEqual(500);
  }
  expect(backOff.died(10)).toBeGreaterThan(1000);
});

test('lives of a second alone cost no wait', () => {
  const backOff = new BackOff();
  for (let i = 0; i < 30; i++) expect(backOff.died(1000)).toBe(0);
});
