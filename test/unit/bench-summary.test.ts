// Summaries of rounds: medians and ranges, ranks, and formatted metrics.
import { describe, expect, test } from 'vitest';
import { connectionsOf, type Metric, median, metrics, rank, row, summarise } from '../../src/bench/summary.ts';
import { results } from '../fixtures/bench-results.ts';
import { latencyOf, roundOf } from './bench-round.ts';

const metric = (name: string): Metric => metrics.find((one) => one.name === name) as Metric;

test.each<[values: number[], middle: number]>([
  [[3], 3],
  [[9, 1, 5], 5],
  [[10, 9, 100, 1, 2], 9],
  [[4, 1], 2.5],
  [[40, 1, 3, 2], 2.5],
  [[], 0],
])('the median of %j is %d', (values, middle) => expect(median(values)).toBe(middle));

test('the median does not reorder its values', () => {
  const values = [3, 1, 2];
  median(values);
  expect(values).toEqual([3, 1, 2]);
});

describe('rank', () => {
  type Range = [min: number, median: number, max: number];
  const cases: [title: string, better: 'less' | 'more', ranges: (Range | undefined)[], ranks: unknown[]][] = [
    [
      'the smallest median is best where less is better',
      'less',
      [
        [19, 20, 21],
        [9, 10, 11],
        [29, 30, 31],
      ],
      [undefined, 'best', undefined],
    ],
    [
      'the largest median is best where more is better',
      'more',
      [
        [19, 20, 21],
        [9, 10, 11],
        [29, 30, 31],
      ],
      [undefined, undefined, 'best'],
    ],
    [
      '0 errors is the best',
      'less',
      [
        [0, 0, 0],
        [3, 4, 5],
      ],
      ['best', undefined],
    ],
    [
      'ranges that overlap are a tie',
      'less',
      [
        [5, 10, 15],
        [14, 20, 26],
        [25, 40, 50],
      ],
      ['tie', 'tie', undefined],
    ],
    [
      'ranges that touch are a tie',
      'more',
      [
        [5, 10, 15],
        [15, 20, 26],
      ],
      ['tie', 'tie'],
    ],
    [
      'adjacent ranges are no tie',
      'more',
      [
        [5, 10, 14],
        [15, 20, 26],
      ],
      [undefined, 'best'],
    ],
    [
      'a range within another is a tie',
      'less',
      [
        [1, 10, 100],
        [49, 50, 51],
      ],
      ['tie', 'tie'],
    ],
    [
      'a difference below 5 % is a tie, however steady',
      'more',
      [
        [100, 100, 100],
        [95.1, 95.1, 95.1],
      ],
      ['tie', 'tie'],
    ],
    [
      'a difference above 5 % is no tie',
      'more',
      [
        [100, 100, 100],
        [94.9, 94.9, 94.9],
      ],
      ['best', undefined],
    ],
    [
      'a value that ties only with the second best is no tie',
      'less',
      [
        [98, 98, 98],
        [102, 102, 102],
        [106, 106, 106],
      ],
      ['tie', 'tie', undefined],
    ],
    [
      'two equal best medians are a tie',
      'less',
      [
        [10, 10, 10],
        [20, 20, 20],
        [10, 10, 10],
      ],
      ['tie', undefined, 'tie'],
    ],
    [
      'a target that was not measured has no rank',
      'less',
      [undefined, [9, 10, 11], undefined, [19, 20, 21]],
      [undefined, 'best', undefined, undefined],
    ],
    [
      'equal medians have no rank',
      'less',
      [
        [5, 10, 15],
        [10, 10, 10],
      ],
      [undefined, undefined],
    ],
    ['a single target has no rank', 'more', [[9, 10, 11], undefined], [undefined, undefined]],
    ['no target was measured', 'more', [undefined, undefined], [undefined, undefined]],
    ['there are no targets', 'more', [], []],
  ];

  test.each(cases)('%s', (_, better, ranges, ranks) => {
    const summaries = ranges.map((range) => range && { min: range[0], median: range[1], max: range[2], count: 3 });
    expect(rank({ better }, summaries)).toEqual(ranks);
  });
});

describe('summarise', () => {
  const cell = {
    contender: 'prefork',
    scenario: 'hello',
    connections: 1,
    rounds: [
      roundOf({ requestsPerSecond: 30, peakMemoryBytes: 5, errors: { connection: 1, timeout: 2, status: 4 } }),
      roundOf({ requestsPerSecond: 10, latencyMs: latencyOf({ p99: 7 }) }),
      roundOf({ requestsPerSecond: 20, peakMemoryBytes: 8 }),
    ],
  };

  test.each([
    ['rps', { median: 20, min: 10, max: 30, count: 3 }],
    ['errors', { median: 0, min: 0, max: 7, count: 3 }],
    ['memory', { median: 6.5, min: 5, max: 8, count: 2 }],
    ['p99', { median: 7, min: 7, max: 7, count: 1 }],
    ['cpu', undefined],
    ['unfairness', undefined],
  ])('takes %s from the rounds that have it', (name, summary) => {
    expect(summarise(metric(name), cell)).toEqual(summary);
  });

  test('has no summary without a round', () => {
    expect(summarise(metric('rps'), { ...cell, rounds: [] })).toBeUndefined();
  });

  test.each(['p50', 'p90', 'p99', 'p999', 'max'] as const)('reads %s from the latencies', (name) => {
    const rounds = [roundOf({ latencyMs: latencyOf({ [name]: 42 }) })];
    expect(summarise(metric(name), { ...cell, rounds })?.median).toBe(42);
  });

  test.each([
    ['cpu', { cpuMicrosPerRequest: 42 }],
    ['memory', { peakMemoryBytes: 42 }],
    ['memory-per-connection', { memoryPerConnectionBytes: 42 }],
    ['held', { connectionsHeld: 42 }],
    ['unfairness', { unfairness: 42 }],
  ])('reads %s', (name, metrics) => {
    expect(summarise(metric(name), { ...cell, rounds: [roundOf(metrics)] })?.median).toBe(42);
  });
});

test.each([
  ['rps', 0, '0.0'],
  ['rps', 12.34, '12.3'],
  ['rps', 100.4, '100'],
  ['rps', 41_234.6, '41,235'],
  ['p50', 0.123, '0.12 ms'],
  ['p90', 12.34, '12.3 ms'],
  ['p99', 123.4, '123 ms'],
  ['p999', 999, '999 ms'],
  ['p999', 1207, '1.21 s'],
  ['max', 10_000, '10.0 s'],
  ['errors', 1234, '1,234'],
  ['cpu', 12.34, '12.3 µs'],
  ['cpu', 123.4, '123 µs'],
  ['cpu', 999, '999 µs'],
  ['cpu', 1500, '1.50 ms'],
  ['cpu', 12_340, '12.3 ms'],
  ['memory', 62.4e6, '62 MB'],
  ['memory', 1234.4e6, '1,234 MB'],
  ['memory-per-connection', 9040, '9.0 kB'],
  ['memory-per-connection', 38e6, '38,000 kB'],
  ['held', 1000, '1,000'],
  ['unfairness', 1.234, '1.23'],
])('%s of %d is formatted as %s', (name, value, text) => expect(metric(name).write(value)).toBe(text));

test('more is better for requests/s and open connections, less for all others', () => {
  expect(metrics.filter(({ better }) => better === 'more').map(({ name }) => name)).toEqual(['rps', 'held']);
});

test('a row has the cells in the order of the targets, with undefined for missing ones', () => {
  const cells = row(results, 'hello', 16);
  expect(cells.map((cell) => cell?.contender)).toEqual(['ppc', 'prefork', undefined, 'prethread', 'hybrid']);
  expect(cells.filter((cell) => cell && (cell.scenario !== 'hello' || cell.connections !== 16))).toEqual([]);
  expect(row(results, 'hello', 17)).toEqual(results.contenders.map(() => undefined));
});

test('the numbers of connections are ascending and unique', () => {
  const backwards = { ...results, cells: [...results.cells].reverse() };
  expect(connectionsOf(backwards, 'hello')).toEqual([1, 16, 64, 256]);
  expect(connectionsOf(backwards, 'crash')).toEqual([16]);
  expect(connectionsOf(backwards, 'short')).toEqual([]);
});
