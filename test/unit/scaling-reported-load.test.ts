// The load that a member last reported, on a fake clock.
import { beforeEach, expect, test, vi } from 'vitest';
import { ReportedLoad } from '../../src/scaling/reported-load.ts';
import { sampleIntervalMs } from '../../src/scaling/scaler.ts';

let ms = 0;
beforeEach(() => {
  vi.spyOn(process, 'hrtime').mockImplementation(() => [ms / 1000, 0]);
  return () => vi.restoreAllMocks();
});

/** Reads the load `count` times at an interval of `apart` milliseconds. */
function reads(load: ReportedLoad, count: number, apart = sampleIntervalMs): (number | undefined)[] {
  return Array.from({ length: count }, () => {
    ms += apart;
    return load.value;
  });
}

test('a member has the load that it reported, and none if it does not measure it', () => {
  const load = new ReportedLoad();
  expect(load.value).toBeUndefined();
  load.start();
  expect(load.value).toBe(0);
  load.report(0.4);
  expect(reads(load, 2)).toEqual([0.4, 0.4]);
});

test('a member that stops reporting is busy: its event loop is blocked', () => {
  const load = new ReportedLoad();
  load.report(0.1);
  expect(reads(load, 4)).toEqual([0.1, 0.1, 1, 1]);
  load.report(0.2);
  expect(load.value).toBe(0.2);
});

test('a member whose reports are read late is not busy', () => {
  const load = new ReportedLoad();
  load.report(0.1);
  // The waiting report is handled after each read.
  for (let i = 0; i < 5; i++) {
    expect(reads(load, 1, 8 * sampleIntervalMs)).toEqual([0.1]);
    load.report(0.1);
  }
});
