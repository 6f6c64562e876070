// Summarises the rounds of each cell: medians and ranges of the metrics, and which targets are best or tied.
import type { Cell, Results, Round } from './results.js';

/** A metric that is compared. */
export interface Metric {
  /** As in `--fail-if`: `p99`. */
  readonly name: string;
  readonly title: string;
  readonly better: 'less' | 'more';
  readonly of: (round: Round) => number | undefined;
  /** Formats a value with its unit. */
  readonly write: (value: number) => string;
}

type MetricFields = readonly [Metric['name'], Metric['title'], Metric['better'], Metric['of'], Metric['write']];

const metricFields: readonly MetricFields[] = [
  ['rps', 'requests/s', 'more', (round) => round.requestsPerSecond, perSecond],
  ['p50', 'latency p50', 'less', (round) => round.latencyMs?.p50, milliseconds],
  ['p90', 'latency p90', 'less', (round) => round.latencyMs?.p90, milliseconds],
  ['p99', 'latency p99', 'less', (round) => round.latencyMs?.p99, milliseconds],
  ['p999', 'latency p99.9', 'less', (round) => round.latencyMs?.p999, milliseconds],
  ['max', 'latency max', 'less', (round) => round.latencyMs?.max, milliseconds],
  ['errors', 'errors', 'less', ({ errors }) => errors.connection + errors.timeout + errors.status, grouped],
  ['cpu', 'CPU per request', 'less', (round) => round.cpuMicrosPerRequest, microseconds],
  ['memory', 'peak memory', 'less', (round) => round.peakMemoryBytes, megabytes],
  ['memory-per-connection', 'memory per connection', 'less', (round) => round.memoryPerConnectionBytes, kilobytes],
  ['held', 'open connections', 'more', (round) => round.connectionsHeld, grouped],
  ['unfairness', 'CPU time, busiest / mean', 'less', (round) => round.unfairness, (value) => value.toFixed(2)],
];

/** In display order. */
export const metrics: readonly Metric[] = metricFields.map(([name, title, better, of, write]) => ({
  name,
  title,
  better,
  of,
  write,
}));

/** @param name of a metric in the list */
export function metricOf(name: string): Metric {
  const found = metrics.find((one) => one.name === name);
  if (!found) throw new Error(`there is no metric ${name}`);
  return found;
}

export const throughput = metricOf('rps');
const errors = metricOf('errors');

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** How many values; a single one has no spread. */
  readonly count: number;
}

/** @returns undefined if no round has the metric */
export function summarise({ of }: Pick<Metric, 'of'>, cell: Pick<Cell, 'rounds'> | undefined): Summary | undefined {
  return summaryOf(cell?.rounds.flatMap((round) => of(round) ?? []) ?? []);
}

/** @returns undefined without values */
export function summaryOf(values: readonly number[]): Summary | undefined {
  if (values.length === 0) return undefined;
  return { median: median(values), min: Math.min(...values), max: Math.max(...values), count: values.length };
}

/** Half the range, in percent of the median. */
export function spreadPercent({ median, min, max }: Summary): number {
  return median > 0 ? Math.round(((max - min) / 2 / median) * 100) : 0;
}

/** No request got a response in any round. */
export function isSilent(cell: Pick<Cell, 'rounds'> | undefined): boolean {
  return cell?.rounds.every(({ requests }) => requests === 0) ?? false;
}

/** Undefined as well if the target answered no request: what it needs to do nothing cannot be compared. */
export function summariseAnswered(metric: Metric, cell: Cell | undefined): Summary | undefined {
  const summary = summarise(metric, cell);
  return isSilent(cell) && !(metric === errors && summary && summary.max > 0) ? undefined : summary;
}

/**
 * The metrics of `among` that any target has, with a summary and a rank in the order of `results.contenders`. Nothing is
 * ranked where a target or a round is missing: it might be the best.
 */
export function metricRows(results: Results, scenario: string, connections: number, among = metrics) {
  const cells = row(results, scenario, connections);
  const silent = cells.map(isSilent);
  const isComplete = cells.every((cell) => cell?.rounds.length === results.settings.rounds);
  return among.flatMap((metric) => {
    const summaries = cells.map((cell) => summariseAnswered(metric, cell));
    const isShown = summaries.some((one) => one !== undefined) || (metric === throughput && silent.includes(true));
    const ranks = isComplete ? rank(metric, summaries) : summaries.map(() => undefined);
    /** Instead of a value, why there is none. */
    const reasons = silent.map((one) => (one && metric === throughput ? 'no answer' : undefined));
    return isShown ? [{ metric, summaries, ranks, reasons }] : [];
  });
}

export type Rank = 'best' | 'tie';

/** A difference below this share of the larger median is a tie, however small the ranges are. */
export const tieThreshold = 0.05;

/**
 * Ranks `summaries`. A summary ties with the best one if their ranges over the rounds overlap or their medians differ by
 * less than 5 %. Equal medians are not ranked, and nothing is where a summary is of one round, which has no spread.
 * @returns for each summary `best`, `tie` or undefined
 */
export function rank(
  { better }: Pick<Metric, 'better'>,
  summaries: readonly (Summary | undefined)[],
): readonly (Rank | undefined)[] {
  const known = summaries.filter((one) => one !== undefined);
  if (known.some(({ count }) => count < 2)) return summaries.map(() => undefined);
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
  return (best.min <= other.max && other.min <= best.max) || isNear(best, other);
}

/** The medians differ by less than 5 %. */
export function isNear(one: Summary, other: Summary): boolean {
  return (
    one.median === other.median ||
    Math.abs(one.median - other.median) < tieThreshold * Math.max(one.median, other.median)
  );
}

/** The cells of one scenario with one number of connections, in the order of `results.contenders`. */
export function row(results: Results, scenario: string, connections: number): readonly (Cell | undefined)[] {
  return results.contenders.map(({ name }) =>
    results.cells.find(
      (cell) => cell.contender === name && cell.scenario === scenario && cell.connections === connections,
    ),
  );
}

/** The indexes in `results.contenders` of the targets that were measured, in `scenario` or in any. */
export function measured({ contenders, cells }: Results, scenario?: string): readonly number[] {
  return contenders.flatMap(({ name }, i) =>
    cells.some((cell) => cell.contender === name && (scenario ?? cell.scenario) === cell.scenario) ? [i] : [],
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

function perSecond(value: number): string {
  return grouped(value, value < 100 ? 1 : 0);
}

function milliseconds(value: number): string {
  if (value >= 1000) return `${(value / 1000).toFixed(value < 10_000 ? 2 : 1)} s`;
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ms`;
}

function microseconds(value: number): string {
  return value < 1000 ? `${value.toFixed(value < 100 ? 1 : 0)} µs` : milliseconds(value / 1000);
}

function megabytes(bytes: number): string {
  return `${grouped(bytes / 1e6)} MB`;
}

function kilobytes(bytes: number): string {
  return `${grouped(bytes / 1e3, bytes < 100_000 ? 1 : 0)} kB`;
}

function grouped(value: number, digits = 0): string {
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
