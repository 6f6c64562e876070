// Which worker a session is at.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Sessions } from '../../src/balance/sessions.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const [a, b, c] = [{ id: 1 }, { id: 2 }, { id: 3 }];
const never = (): never => {
  throw new Error('the policy was asked');
};

/** How many sessions have been reported as placed again, by the time that everything has been reported. */
function counted(): { readonly report: (count: number) => void; readonly total: () => number } {
  let total = 0;
  return {
    report: (count) => {
      total += count;
    },
    total: () => {
      vi.runAllTimers();
      return total;
    },
  };
}

test('a session stays where a response has begun it', () => {
  const again = counted();
  const sessions = new Sessions(again.report);
  expect(sessions.knows('s')).toBe(false);
  sessions.begin('s', b);
  expect(sessions.knows('s')).toBe(true);
  expect(sessions.place('s', [a, b, c], never)).toBe(b);
  sessions.begin('s', c); // another worker has begun it anew
  expect(sessions.place('s', [a, b, c], never)).toBe(c);
  expect(again.total()).toBe(0);
});

test('one whose worker has gone, or that is not known, is placed by the policy, once, and counted', () => {
  const again = counted();
  const sessions = new Sessions(again.report);
  sessions.begin('s', b);
  expect(sessions.place('s', [a, c], () => c)).toBe(c);
  expect(sessions.place('s', [a, c], never)).toBe(c);
  expect(sessions.place('other', [a, c], () => a)).toBe(a);
  expect(sessions.place('other', [a, c], never)).toBe(a);
  expect(again.total()).toBe(2);
  expect(sessions.place('s', [{ id: 3 }], () => undefined)).toBeUndefined(); // it waits for one
  expect(again.total()).toBe(2);
});

test('where the first connection begins a session, only one whose worker has gone is counted', () => {
  const again = counted();
  const sessions = new Sessions(again.report, false);
  expect(sessions.place('client', [a, b], () => b)).toBe(b);
  expect(again.total()).toBe(0);
  expect(sessions.place('client', [a, c], () => c)).toBe(c);
  expect(again.total()).toBe(1);
});

test('one of which its worker has had nothing goes to another, and is not counted', () => {
  const again = counted();
  const sessions = new Sessions(again.report);
  sessions.begin('begun', a);
  expect(sessions.place('named', [a, b], () => a)).toBe(a);
  for (const session of ['begun', 'named']) {
    sessions.move(session, b);
    expect(sessions.place(session, [a, b], never)).toBe(b);
  }
  expect(again.total()).toBe(1); // it was not known
});

test('a connection without a session is placed by the policy, and not counted', () => {
  const again = counted();
  expect(new Sessions(again.report).place(undefined, [a, b], () => b)).toBe(b);
  expect(again.total()).toBe(0);
});

test('clients who name many sessions make none forgotten that a response has begun', () => {
  const again = counted();
  const sessions = new Sessions(again.report, true, 100);
  sessions.begin('begun', a);
  for (let i = 0; i < 1000; i++) sessions.place(`named ${i}`, [a, b], () => b);
  expect(sessions.place('begun', [a, b], never)).toBe(a);
  expect([0, 899, 900, 999].map((i) => sessions.knows(`named ${i}`))).toEqual([false, false, true, true]);
  expect(again.total()).toBe(1000);
});

test('the session that has not been asked for the longest is forgotten first', () => {
  const sessions = new Sessions(() => {}, true, 2);
  sessions.begin('first', a);
  sessions.begin('second', a);
  sessions.place('first', [a], never);
  sessions.begin('third', a);
  expect(['first', 'second', 'third'].map((session) => sessions.knows(session))).toEqual([true, false, true]);
});
