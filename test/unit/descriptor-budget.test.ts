import { describe, expect, test } from 'vitest';
import { DescriptorBudget } from '../../src/connection/descriptor-budget.ts';

/** A budget for a process of which `open` says how many descriptors it has, of 100; 6 stay free. */
function budget(each: number, open: { count: number }, limit = 100): DescriptorBudget {
  return new DescriptorBudget(each, 1, () => ({ used: open.count, limit }));
}

test('connections are accepted up to the descriptors that stay free', () => {
  const one = budget(1, { count: 41 });
  one.note(1, 40);
  expect(one.isUsedUp(53, 53)).toBe(false); // 40, 53 connections, and one more
  expect(one.isUsedUp(54, 54)).toBe(true);
});

test('a connection counts as much as the worker that starts for it will take', () => {
  const one = budget(10, { count: 41 });
  one.note(1, 40);
  expect(one.isUsedUp(4, 4)).toBe(false);
  expect(one.isUsedUp(5, 5)).toBe(true);
  one.count(5); // their workers have not opened anything yet
  expect(one.isUsedUp(5, 5)).toBe(true);
});

test('the number of a new descriptor shows what others have opened', () => {
  const one = budget(1, { count: 41 });
  one.note(1, 40);
  one.note(2, 92);
  expect(one.isUsedUp(2, 2)).toBe(false);
  one.note(3, 93);
  expect(one.isUsedUp(3, 3)).toBe(true);
  one.note(3, Number.POSITIVE_INFINITY);
  expect(one.use(3)).toEqual({ used: 100, limit: 100 });
});

test('after a count it knows of descriptors that were closed', () => {
  const open = { count: 41 };
  const one = budget(1, open);
  one.note(1, 99);
  one.note(2, 99);
  expect(one.isUsedUp(2, 2)).toBe(true);
  one.count(2);
  expect(one.isUsedUp(2, 2)).toBe(false);
});

test('without a limit that is known, none is reached', () => {
  const one = budget(1, { count: 0 }, Number.POSITIVE_INFINITY);
  one.note(1, 5000);
  expect(one.isUsedUp(1_000_000, 1_000_000)).toBe(false);
});

describe('beside other acceptors', () => {
  const beside = (others: number) => new DescriptorBudget(1, 1 + others, () => ({ used: 41, limit: 100 }));

  test('three more stay free for each', () => {
    const one = beside(3);
    one.note(1, 40);
    expect(one.isUsedUp(44, 44)).toBe(false); // 40, 44 connections, one more, and 6 + 3 * 3
    expect(one.isUsedUp(45, 45)).toBe(true);
  });

  test('their connections count', () => {
    const one = beside(3);
    one.note(1, 40);
    expect(one.isUsedUp(2, 44)).toBe(false);
    expect(one.isUsedUp(2, 45)).toBe(true);
  });

  test('one that has no connection takes one of what stays free', () => {
    const one = beside(3);
    one.note(1, 40);
    expect(one.isUsedUp(0, 59)).toBe(false);
    expect(one.isUsedUp(0, 60)).toBe(true);
  });
});

test('without a connection one more is accepted, and nothing is kept free for others', () => {
  const one = budget(1, { count: 99 });
  one.count(0);
  expect(one.isUsedUp(0, 0)).toBe(false);
  one.note(1, 99);
  expect(one.isUsedUp(1, 1)).toBe(true);
});
