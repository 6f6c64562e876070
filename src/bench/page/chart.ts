// The charts as data, with all labels formatted. page/browser.js draws them with uPlot.
import { type Cell, distribution, type Results } from '../results.js';
import { connectionsOf, type Metric, median, metrics, row, type Summary } from '../summary.js';
import { type Axis, linear, logarithmic, logarithmicAt } from './axis.js';
import { type Mark, markOf } from './mark.js';

export interface Chart {
  readonly x: Axis;
  readonly y: Axis;
  /** Shared by all lines. */
  readonly xValues: readonly number[];
  /** The label of each x value: `64 connections`. */
  readonly xLabels: readonly string[];
  readonly lines: readonly Line[];
}

export interface Line {
  /** Index in `results.contenders`. */
  readonly contender: number;
  readonly name: string;
  readonly mark: Mark;
  readonly values: readonly (number | null)[];
  /** The formatted values. */
  readonly valueLabels: readonly (string | null)[];
  /** The range over the rounds; null for a single value. */
  readonly ranges?: readonly (readonly [min: number, max: number] | null)[];
}

/** The ratio of the largest to the smallest value above which the y axis is logarithmic. */
const maxLinearRatio = 10;

/** Latency metrics, whose y axis is always logarithmic, because tail latency is a multiple of the median. */
const latencyNames = /^(p\d+|max)$/;

/** The smallest value on a logarithmic axis, where 0 has no place; for latencies a microsecond. */
const minLogValue = 0.001;

/** A metric for each number of connections with which any target has it. */
export interface MetricRow {
  readonly connections: number;
  /** In the order of `results.contenders`. */
  readonly summaries: readonly (Summary | undefined)[];
}

/** A metric over the number of connections. @param known at least two */
export function overConnections({ contenders }: Results, metric: Metric, known: readonly MetricRow[]): Chart {
  const all = known.flatMap(({ summaries }) => summaries.filter((one) => one !== undefined));
  const max = Math.max(...all.map((one) => one.max));
  const min = Math.min(...all.map((one) => one.min));
  const isLog = latencyNames.test(metric.name) || (min > 0 && max / min > maxLinearRatio);
  const floor = isLog ? minLogValue : 0;
  const xValues = known.map(({ connections }) => connections);
  const lines = contenders.map(({ name }, contender) => {
    const summaries = known.map((one) => one.summaries[contender]);
    return {
      contender,
      name,
      mark: markOf(contender),
      values: summaries.map((one) => (one === undefined ? null : Math.max(one.median, floor))),
      valueLabels: summaries.map((one) => (one === undefined ? null : writeWithRange(metric, one))),
      ranges: summaries.map((one) =>
        one === undefined || one.min === one.max ? null : ([Math.max(one.min, floor), one.max] as const),
      ),
    };
  });
  return {
    x: logarithmicAt(xValues, (connections) => connections.toLocaleString('en')),
    y: isLog ? logarithmic(Math.max(min, floor), Math.max(max, floor), metric.write) : linear(max, metric.write),
    xValues,
    xLabels: xValues.map(countConnections),
    lines: lines.filter(({ values }) => values.some((value) => value !== null)),
  };
}

/** The position of the maximum on the percentile axis, where p100 would be at infinity. */
const maxPosition = 40_000;

/** The labels of the percentile axis. */
const labelledPercentiles: readonly number[] = [0, 50, 90, 99, 99.9, 99.99, 100];

/** Latency by percentile, one chart for each number of connections, all with the same y axis. */
export function distributions(results: Results, scenario: string) {
  const sets = connectionsOf(results, scenario).flatMap((connections) => {
    const curves = row(results, scenario, connections).map((cell) => cell && curveOf(cell));
    return curves.some((curve) => curve !== undefined) ? [{ connections, curves }] : [];
  });
  if (sets.length === 0) return [];
  const all = sets.flatMap(({ curves }) => curves.flatMap((curve) => curve ?? []));
  const write = metrics.find(({ name }) => name === 'max')?.write ?? String;
  const y = logarithmic(Math.min(...all), Math.max(...all), write);
  const ticks = labelledPercentiles.map((percentile) => [positionOf(percentile), percentileText(percentile)] as const);
  const x: Axis = { isLog: true, from: 1 / 1.3, to: maxPosition * 1.3, ticks };

  return sets.map(({ connections, curves }) => {
    const lines = results.contenders.flatMap(({ name }, contender): Line[] => {
      const values = curves[contender];
      return values ? [{ contender, name, mark: markOf(contender), values, valueLabels: values.map(write) }] : [];
    });
    const chart: Chart = {
      x,
      y,
      xValues: distribution.map(positionOf),
      xLabels: distribution.map(percentileText),
      lines,
    };
    return { connections, chart };
  });
}

/** Latency in milliseconds at each percentile: the median over the rounds. */
function curveOf({ rounds }: Cell): readonly number[] | undefined {
  const curves = rounds.flatMap(({ latencyMs }) => (latencyMs ? [latencyMs.distribution] : []));
  if (curves.length === 0) return undefined;
  return distribution.map((_, i) => Math.max(minLogValue, median(curves.flatMap((curve) => curve[i] ?? []))));
}

/** As in HdrHistogram's plots: each further nine has the same width. */
function positionOf(percentile: number): number {
  return percentile === 100 ? maxPosition : 100 / (100 - percentile);
}

function percentileText(percentile: number): string {
  return percentile === 0 ? 'min' : percentile === 100 ? 'max' : `p${percentile}`;
}

export function writeWithRange({ write }: Pick<Metric, 'write'>, { median, min, max }: Summary): string {
  return min === max ? write(median) : `${write(median)} (${write(min)} – ${write(max)})`;
}

export function countConnections(connections: number): string {
  return `${connections.toLocaleString('en')} ${connections === 1 ? 'connection' : 'connections'}`;
}
