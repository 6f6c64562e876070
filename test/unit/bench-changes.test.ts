// Changes since an earlier run and the conditions of --fail-if: parsing, evaluation and formatting.
import { describe, expect, test } from 'vitest';
import {
  type Change,
  type Condition,
  changes,
  lostCells,
  readCondition,
  violations,
  writeChange,
  writeChanges,
  writeLoss,
} from '../../src/bench/changes.ts';
import type { Cell, Results, Round } from '../../src/bench/results.ts';
import { type Metric, metrics } from '../../src/bench/summary.ts';
import { results } from '../fixtures/bench-results.ts';
import { latencyOf, roundOf } from './bench-round.ts';

const change = (name: string, before: number, now: number): Change => ({
  contender: 'prefork',
  scenario: 'hello',
  connections: 16,
  metric: metrics.find((one) => one.name === name) as Metric,
  before,
  now,
});

describe('a condition', () => {
  test.each([
    ['p99>+10%', 'p99', true, 0.1],
    ['p99>10%', 'p99', true, 0.1],
    ['p99.9>+10%', 'p999', true, 0.1],
    ['p999>+10%', 'p999', true, 0.1],
    ['memory>+2.5%', 'memory', true, 0.025],
    ['memory-per-connection>0%', 'memory-per-connection', true, 0],
    ['errors>+100%', 'errors', true, 1],
    ['rps<-5%', 'rps', false, -0.05],
    ['rps<-0.5%', 'rps', false, -0.005],
    ['cpu>-10%', 'cpu', true, -0.1],
    ['held<+10%', 'held', false, 0.1],
  ])('%s is read', (text, name, isAbove, by) => {
    expect(readCondition(text)).toEqual({
      value: { text, metric: expect.objectContaining({ name }), isAbove, by: expect.closeTo(by, 10) },
    });
  });

  test.each([
    '',
    'p99',
    'p99>10',
    'p99>%',
    'p99>+%',
    '>+10%',
    'p99+10%',
    'p99=+10%',
    'p99>=10%',
    'p99>+-10%',
    'p99>+.5%',
    'p99>+1.%',
    'p99>1e3%',
    'p99>1,5%',
    'p99 > +10%',
    ' p99>+10%',
    'p99>+10%\n',
    'P99>+10%',
    'p98>+10%',
    'p99.99>+10%',
    'name>+10%',
    'p99>+10%,rps<-5%',
  ])('%j is refused', (text) => {
    expect(readCondition(text)).toEqual({ refused: expect.stringMatching(/^be METRIC>\+N% or METRIC<-N%/) });
  });

  test('that is invalid is refused with the names of all metrics', () => {
    expect(readCondition('speed>+10%')).toEqual({
      refused: expect.stringContaining(metrics.map(({ name }) => name).join(', ')),
    });
  });

  test.each([
    ['p99>+10%', 200, 219.9, false],
    ['p99>+10%', 200, 220, false],
    ['p99>+10%', 200, 220.1, true],
    ['p99>+10%', 200, 100, false],
    ['p99>-10%', 200, 180.1, true],
    ['p99>-10%', 200, 179.9, false],
    ['p99>+2.5%', 200, 204.9, false],
    ['p99>+2.5%', 200, 205.1, true],
    ['rps<-5%', 200, 190.1, false],
    ['rps<-5%', 200, 190, false],
    ['rps<-5%', 200, 189.9, true],
    ['rps<-5%', 200, 400, false],
    ['rps<+5%', 200, 209.9, true],
    ['rps<+5%', 200, 210.1, false],
    ['errors>+15%', 100, 115, false],
    ['errors>+10%', 0, 0, false],
    ['errors>+10%', 0, 1, true],
    ['p99.9>0%', 200, 200, false],
    ['p99.9>0%', 200, 200.1, true],
  ])('%s with %d before and %d now fails the run: %j', (text, before, now, fails) => {
    const { value } = readCondition(text) as { value: Condition };
    const one = change(value.metric.name, before, now);
    expect(violations([one], value)).toEqual(fails ? [one] : []);
  });

  test('applies to its own metric in every cell', () => {
    const { value } = readCondition('p99>+10%') as { value: Condition };
    const all = [
      change('p50', 1, 9),
      change('p99', 1, 9),
      change('rps', 1, 9),
      { ...change('p99', 1, 8), scenario: 'cpu' },
    ];
    expect(violations(all, value)).toEqual([all[1], all[3]]);
  });
});

const run = (cells: [contender: string, scenario: string, connections: number, rounds: Round[]][]): Results => ({
  ...results,
  cells: cells.map(([contender, scenario, connections, rounds]) => ({ contender, scenario, connections, rounds })),
});
const at = (...speeds: number[]): Round[] => speeds.map((requestsPerSecond) => roundOf({ requestsPerSecond }));

describe('changes', () => {
  const speeds = (before: Results, now: Results) =>
    changes(before, now)
      .filter(({ metric }) => metric.name === 'rps')
      .map((one) => [one.contender, one.scenario, one.connections, one.before, one.now]);

  test('are between the medians of the rounds', () => {
    const before = run([['prefork', 'hello', 16, at(30, 10, 20)]]);
    const now = run([['prefork', 'hello', 16, at(60, 40)]]);
    expect(speeds(before, now)).toEqual([['prefork', 'hello', 16, 20, 50]]);
  });

  test('are of cells that both runs have, in the order of the later run', () => {
    const before = run([
      ['prefork', 'hello', 16, at(1)],
      ['prefork', 'hello', 64, at(2)],
      ['prefork', 'cpu', 16, at(3)],
      ['hybrid', 'hello', 16, at(4)],
    ]);
    const now = run([
      ['hybrid', 'hello', 16, at(40)],
      ['hybrid', 'cpu', 16, at(50)],
      ['prefork', 'hello', 256, at(60)],
      ['prefork', 'cpu', 16, at(30)],
      ['prefork', 'hello', 16, at(10)],
    ]);
    expect(speeds(before, now)).toEqual([
      ['hybrid', 'hello', 16, 4, 40],
      ['prefork', 'cpu', 16, 3, 30],
      ['prefork', 'hello', 16, 1, 10],
    ]);
  });

  test('are of metrics that both runs have', () => {
    const latencyMs = latencyOf({});
    const before = run([['prefork', 'hello', 16, [roundOf({ latencyMs, peakMemoryBytes: 1, unfairness: 1 })]]]);
    const now = run([['prefork', 'hello', 16, [roundOf({ peakMemoryBytes: 2, cpuMicrosPerRequest: 2 })]]]);
    expect(changes(before, now).map(({ metric }) => metric.name)).toEqual(['rps', 'errors', 'memory']);
  });

  test('are none between a run and itself', () => {
    const all = changes(results, results);
    expect(all.length).toBeGreaterThan(results.cells.length);
    expect(all.filter(({ before, now }) => before !== now)).toEqual([]);
    expect(writeChanges(all)).toBe('No metric changed by 5 % or more.');
  });
});

describe('cells that are lost', () => {
  const silent = [roundOf({ requests: 0, requestsPerSecond: 0 })];
  const before = run([
    ['prefork', 'hello', 16, at(1)],
    ['ppc', 'hello', 16, at(2)],
    ['hybrid', 'hello', 16, at(3)],
    ['hybrid', 'cpu', 16, at(4)],
    ['prethread', 'hello', 16, silent],
  ]);
  const [, ppc, hybrid, cpu] = before.cells;
  const cellsNow = run([
    ['prefork', 'hello', 16, at(1)],
    ['ppc', 'hello', 16, silent],
    ['prethread', 'hello', 16, silent],
  ]);
  const answers = { ...cellsNow, interrupted: false };

  test('are those whose model answered earlier and is missing or silent now', () => {
    expect(lostCells(before, answers)).toEqual([ppc, hybrid, cpu]);
    expect(writeLoss(cpu as Cell)).toBe('cpu, hybrid, 16 conn.: no request answered any more');
  });

  test.each<[what: string, changed: Partial<Results>, lost: unknown]>([
    ['models', { contenders: results.contenders.filter(({ name }) => name !== 'hybrid') }, [ppc]],
    ['scenarios', { scenarios: results.scenarios.filter(({ name }) => name !== 'hello') }, [cpu]],
    ['connections', { cells: answers.cells.map((cell) => ({ ...cell, connections: 64 })) }, [cpu]],
  ])('are none of the %s that were not asked for', (_, changed, lost) => {
    expect(lostCells(before, { ...answers, ...changed })).toEqual(lost);
  });

  test('are none after a run that was stopped', () => {
    expect(lostCells(before, { ...answers, interrupted: true })).toEqual([]);
  });
});

test.each([
  ['p99', 10, 15, 'latency p99 10.0 ms → 15.0 ms, × 1.50 (worse)'],
  ['p99', 15, 10, 'latency p99 15.0 ms → 10.0 ms, × 0.67 (better)'],
  ['rps', 1000, 2000, 'requests/s 1,000 → 2,000, × 2.00 (better)'],
  ['rps', 2000, 1000, 'requests/s 2,000 → 1,000, × 0.50 (worse)'],
  ['p99', 10, 10, 'latency p99 10.0 ms → 10.0 ms, × 1.00 (the same)'],
  ['errors', 0, 7, 'errors 0 → 7 (worse)'],
  ['errors', 7, 0, 'errors 7 → 0, × 0.00 (better)'],
  ['memory', 60e6, 90e6, 'peak memory 60 MB → 90 MB, × 1.50 (worse)'],
])('%s of %d and then %d is written with its unit', (name, before, now, text) => {
  expect(writeChange(change(name, before, now))).toBe(`hello, prefork, 16 conn.: ${text}`);
});

test('changes below 5 % are not worth a line, nor are none', () => {
  const [up, down] = [change('p99', 100, 110), change('rps', 1000, 900)];
  const small = [change('p50', 100, 104), change('p90', 104, 100), change('errors', 0, 0), change('held', 9, 9)];
  expect(writeChanges([up, ...small, down])).toBe(`${writeChange(up)}\n${writeChange(down)}`);
  expect(writeChanges(small)).toBe('No metric changed by 5 % or more.');
  expect(writeChanges([])).toBe('No metric changed by 5 % or more.');
});
