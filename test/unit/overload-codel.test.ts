// CoDel with a clock of the test: when it begins to drop, how often, and when it ends (RFC 8289).
import { beforeEach, expect, test } from 'vitest';
import { CoDel } from '../../src/overload/codel.ts';
import { shedderNumbers } from '../../src/overload/layout.ts';
import { Shedder } from '../../src/overload/shedder.ts';

const targetMs = 5;
const intervalMs = 100;
let codel: CoDel;
beforeEach(() => {
  codel = new CoDel(new Float64Array(shedderNumbers), targetMs, intervalMs);
});

/** One request each millisecond from `begin` to `end`, each of which has waited for `waitedMs`. @returns when it dropped */
function drops(waitedMs: number, begin: number, end: number, isLast = false): number[] {
  const times: number[] = [];
  for (let time = begin; time < end; time++) if (codel.drops(waitedMs, time, isLast)) times.push(time);
  return times;
}

test('drops nothing while requests wait for less than the target', () => {
  expect(drops(targetMs - 1, 1, 10_000)).toEqual([]);
});

test('drops nothing of a burst that is over within the interval', () => {
  expect(drops(50, 1, 1 + intervalMs)).toEqual([]);
  expect(drops(1, 101, 102)).toEqual([]);
  expect(drops(50, 102, 102 + intervalMs)).toEqual([]);
});

test('drops after an interval, then ever more often: interval / sqrt(count)', () => {
  const times = drops(50, 1, 1001);
  expect(times[0]).toBe(1 + intervalMs);
  const spacings = times.slice(1).map((time, i) => time - (times[i] as number));
  for (const [i, spacing] of spacings.entries()) {
    expect(Math.abs(spacing - intervalMs / Math.sqrt(i + 1))).toBeLessThanOrEqual(1);
  }
  expect(times.length).toBeGreaterThan(20);
});

test('ends as soon as one request has waited for less than the target', () => {
  expect(drops(50, 1, 500).length).toBeGreaterThan(3);
  expect(drops(1, 500, 501)).toEqual([]);
  expect(drops(50, 501, 501 + intervalMs)).toEqual([]);
});

test('begins again at the rate that it had, if that was not long ago', () => {
  const before = drops(50, 1, 1001);
  drops(1, 1001, 1002);
  const again = drops(50, 1002, 1502);
  expect(again[0]).toBe(1002 + intervalMs);
  expect((again[1] as number) - (again[0] as number)).toBeLessThanOrEqual(
    intervalMs / Math.sqrt(before.length - 2) + 1,
  );
  drops(1, 1502, 1503);
  const later = drops(50, 10_000, 10_500);
  expect((later[1] as number) - (later[0] as number)).toBe(intervalMs);
});

test('never drops the last request, behind which none waits', () => {
  expect(drops(50, 1, 1000, true)).toEqual([]);
});

test('two event loops that share the numbers drop as one', () => {
  const numbers = new Float64Array(shedderNumbers);
  const both = [new CoDel(numbers, targetMs, intervalMs), new CoDel(numbers, targetMs, intervalMs)];
  const together: number[] = [];
  for (let time = 1; time < 1001; time++) if (both[time % 2]?.drops(50, time, false)) together.push(time);
  expect(together).toEqual(drops(50, 1, 1001));
});

test('the shedder refuses a request whose response would come too late for the goal', () => {
  const shedder = new Shedder(new Float64Array(shedderNumbers), { percent: 99, ms: 500 });
  for (let i = 0; i < 100; i++) shedder.served(200);
  expect(shedder.serviceMs).toBeGreaterThan(150);
  expect(shedder.serviceMs).toBeLessThan(215);
  expect(shedder.sheds(270, 1, true)).toBe(false);
  expect(shedder.sheds(351, 2, true)).toBe(true);
});

test('an app that is slower than the goal leaves a tenth of it for waiting', () => {
  const shedder = new Shedder(new Float64Array(shedderNumbers), { percent: 95, ms: 500 });
  shedder.served(5000);
  expect(shedder.sheds(50, 1, true)).toBe(false);
  expect(shedder.sheds(51, 2, true)).toBe(true);
});

test.each([50, 90, 95, 99])('the estimate of percentile %i rests near it', (percent) => {
  const shedder = new Shedder(new Float64Array(shedderNumbers), { percent, ms: 500 });
  let seed = 1;
  const random = (): number => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  for (let i = 0; i < 20_000; i++) shedder.served(100 * random());
  const estimates: number[] = [];
  for (let i = 0; i < 20_000; i++) {
    shedder.served(100 * random());
    estimates.push(shedder.serviceMs);
  }
  const mean = estimates.reduce((sum, one) => sum + one, 0) / estimates.length;
  expect(Math.abs(mean - percent)).toBeLessThan(5);
});
