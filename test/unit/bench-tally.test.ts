// Counts of responses and errors, and the percentiles of latencies.
import { expect, test } from 'vitest';
import { distribution, type Latency } from '../../src/bench/results.ts';
import { Tally } from '../../src/bench/tally.ts';

/** The histogram keeps three significant digits. */
const about = (value: number) => expect.closeTo(value, 3 - Math.ceil(Math.log10(value)) - 0.5);

function latencyOf(...latencies: number[]): Latency {
  const tally = new Tally();
  for (const latency of latencies) tally.recordResponse(200, latency);
  return tally.report(1).latencyMs as Latency;
}

test('percentiles of a thousand latencies in any order', () => {
  const thousand = Array.from({ length: 1000 }, (_, i) => ((i * 7) % 1000) + 1);
  const { p50, p90, p99, p999, max } = latencyOf(...thousand);
  expect([p50, p90, p99, p999, max]).toEqual([500, 900, 990, 999, 1000].map(about));
});

test('one latency of a thousand is in the maximum only', () => {
  const { p999, max } = latencyOf(...Array<number>(999).fill(2), 500);
  expect([p999, max]).toEqual([2, 500].map(about));
});

test('the distribution has a latency for each percentile, ascending', () => {
  const { p50, p90, p99, p999, max, distribution: curve } = latencyOf(...Array.from({ length: 2000 }, (_, i) => i + 1));
  expect(curve).toHaveLength(distribution.length);
  expect(curve).toEqual([...curve].sort((a, b) => a - b));
  expect([curve[0], curve.at(-1)]).toEqual([about(1), max]);
  expect([50, 90, 99, 99.9].map((at) => curve[(distribution as readonly number[]).indexOf(at)])).toEqual([
    p50,
    p90,
    p99,
    p999,
  ]);
});

test.each([
  [0, 0.001],
  [0.0004, 0.001],
  [0.25, 0.25],
  [12.5, 12.5],
  [10_000, 10_000],
  [3_600_000, 3_600_000],
  [1e12, 3_600_000],
])('a latency of %d ms is recorded as %d ms', (latency, kept) => {
  const { p50, max } = latencyOf(latency);
  expect(p50 / kept).toBeCloseTo(1, 2);
  expect(max).toBe(p50);
});

test.each([
  [200, 0],
  [204, 0],
  [301, 0],
  [399, 0],
  [199, 1],
  [400, 1],
  [404, 1],
  [500, 1],
  [599, 1],
  [Number.NaN, 1], // not HTTP
])('a response with status %i counts as %i status error(s)', (status, errors) => {
  const tally = new Tally();
  tally.recordResponse(status, 4);
  expect(tally.report(1)).toMatchObject({
    requests: 1,
    errors: { connection: 0, timeout: 0, status: errors },
    latencyMs: { p50: about(4) },
  });
});

test('a failed request counts as an error of its kind, and not as a response or latency', () => {
  const tally = new Tally();
  tally.recordResponse(200, 4);
  for (const kind of ['connection', 'timeout', 'connection'] as const) tally.recordError(kind);
  expect(tally.report(2)).toMatchObject({
    requests: 1,
    seconds: 2,
    errors: { connection: 2, timeout: 1, status: 0 },
    latencyMs: { p50: about(4), max: about(4) },
  });
});

test('without a response there are no latencies', () => {
  const tally = new Tally();
  tally.recordError('timeout');
  expect(tally.report(3)).toEqual({ requests: 0, seconds: 3, errors: { connection: 0, timeout: 1, status: 0 } });
});

test('a report does not change after it was made', () => {
  const tally = new Tally();
  tally.recordError('connection');
  const report = tally.report(1);
  tally.recordError('connection');
  tally.recordResponse(500, 1);
  expect(report).toEqual({ requests: 0, seconds: 1, errors: { connection: 1, timeout: 0, status: 0 } });
});
