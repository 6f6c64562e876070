// Summarises the rounds of each cell: medians and ranges of the metrics, and which targets are best or tied.
import type { Cell, Results, Round } from './results.js';

/** A metric that is compared. */
export interface Metric {
  /** As in `--fail-if`: `p99`. */
  readonly name: string;
  readonly title: string;
  readonly better: 'less' | 'more';
  of(round: Round): number | undefined;
  /** Formats a value with its unit. */
  write(value: number): string;
}

const latency = (name: 'p50' | 'p90' | 'p99' | 'p999' | 'max', title: string): Metric => ({
  name,
  title,
  better: 'less',
  of: ({ latencyMs }) => latencyMs?.[name],
  write: milliseconds,
});

/** In display order. */
export const metrics: readonly Metric[] = [
  {
    name: 'rps',
    title: 'requests/s',
    better: 'more',
    of: ({ requestsPerSecond }) => requestsPerSecond,
    write: (value) => grouped(value, value < 100 ? 1 : 0),
  },
  latency('p50', 'latency p50'),
  latency('p90', 'latency p90'),
  latency('p99', 'latency p99'),
  latency('p999', 'latency p99.9'),
  latency('max', 'latency max'),
  {
    name: 'errors',
    title: 'errors',
    better: 'less',
    of: ({ errors }) => errors.connection + errors.timeout + errors.status,
    write: (value) => grouped(value, 0),
  },
  {
    name: 'cpu',
    title: 'CPU per request',
    better: 'less',
    of: ({ cpuMicrosPerRequest }) => cpuMicrosPerRequest,
    write: (value) => (value < 1000 ? `${value.toFixed(value < 100 ? 1 : 0)} µs` : milliseconds(value / 1000)),
  },
  {
    name: 'memory',
    title: 'peak memory',
    better: 'less',
    of: ({ peakMemoryBytes }) => peakMemoryBytes,
    write: (value) => `${grouped(value / 1e6, 0)} MB`,
  },
  {
    name: 'memory-per-connection',
    title: 'memory per connection',
    better: 'less',
    of: ({ memoryPerConnectionBytes }) => memoryPerConnectionBytes,
    write: (value) => `${grouped(value / 1e3, value < 100_000 ? 1 : 0)} kB`,
  },
  {
    name: 'held',
    title: 'open connections',
    better: 'more',
    of: ({ connectionsHeld }) => connectionsHeld,
    write: (value) => grouped(value, 0),
  },
  {
    name: 'unfairness',
    title: 'CPU time, busiest / mean',
    better: 'less',
    of: ({ unfairness }) => unfairness,
    write: (value) => value.toFixed(2),
  },
];

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @returns undefined if no round has the metric */
export function summarise(metric: Metric, cell: Cell): Summary | undefined {
  const values = cell.rounds.flatMap((round) => metric.of(round) ?? []);
  if (values.length === 0) return undefined;
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** A difference below this share of the larger median is a tie, however small the ranges are. */
const tieThreshold = 0.05;

/**
 * Ranks `summaries`. A summary ties with the best one if their ranges over the rounds overlap or their medians differ by
 * less than 5 %. Equal medians are not ranked.
 * @returns for each summary `best`, `tie` or undefined
 */
export function rank(
  { better }: Pick<Metric, 'better'>,
  summaries: readonly (Summary | undefined)[],
): readonly ('best' | 'tie' | undefined)[] {
  const known = summaries.filter((one) => one !== undefined);
  const sign = better === 'less' ? 1 : -1;
  const best = [...known].sort((a, b) => sign * (a.median - b.median))[0];
  if (best === undefined || known.every(({ median }) => median === best.median)) return summaries.map(() => undefined);
  const ties = summaries.map((one) => one !== undefined && one !== best && isTie(best, one));
  const isTied = ties.includes(true);
  return summaries.map((one, i) => {
    if (one === best) return isTied ? 'tie' : 'best';
    return ties[i] ? 'tie' : undefined;
  });
}

function isTie(best: Summary, other: Summary): boolean {
  const overlap = best.min <= other.max && other.min <= best.max;
  return overlap || Math.abs(best.median - other.median) < tieThreshold * Math.max(best.median, other.median);
}

/** The cells of one scenario with one number of connections, in the order of `results.contenders`. */
export function row(results: Results, scenario: string, connections: number): readonly (Cell | undefined)[] {
  return results.contenders.map(({ name }) =>
    results.cells.find(
      (cell) => cell.contender === name && cell.scenario === scenario && cell.connections === connections,
    ),
  );
}

/** The numbers of connections that a scenario ran with, ascending. */
export function connectionsOf(results: Results, scenario: string): readonly number[] {
  const all = results.cells.filter((cell) => cell.scenario === scenario).map(({ connections }) => connections);
  return [...new Set(all)].sort((a, b) => a - b);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return ((sorted[(sorted.length - 1) >> 1] ?? 0) + (sorted[sorted.length >> 1] ?? 0)) / 2;
}

function milliseconds(value: number): string {
  if (value >= 1000) return `${(value / 1000).toFixed(value < 10_000 ? 2 : 1)} s`;
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ms`;
}

function grouped(value: number, digits: number): string {
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
