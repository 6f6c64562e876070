// The charts as data: what page/browser.js draws with uPlot, with every text written out. It draws nothing itself.
import { type Cell, distribution, type Results } from '../results.js';
import { connectionsOf, type Figure, figures, median, row, type Summary, summarise } from '../summary.js';
import { type Axis, linear, logarithmic, only } from './axis.js';
import { type Mark, markOf } from './mark.js';

export interface Chart {
  readonly x: Axis;
  readonly y: Axis;
  /** Where on the x axis the values of all lines are. */
  readonly at: readonly number[];
  /** What stands there: `64 connections`. */
  readonly places: readonly string[];
  readonly lines: readonly Line[];
}

export interface Line {
  /** Its number in the results. */
  readonly contender: number;
  readonly name: string;
  readonly mark: Mark;
  readonly values: readonly (number | null)[];
  /** The values with their units. */
  readonly texts: readonly (string | null)[];
  /** From where to where the rounds were, if there is more than one. */
  readonly ranges?: readonly (readonly [least: number, most: number] | null)[];
}

/** A figure whose values are further apart than this is drawn on a logarithmic scale. */
const wide = 10;

/** Latencies are always drawn so: a tail is many times the median. */
const latencies = /^(p\d+|max)$/;

/** No logarithm of nothing: what is faster than this is drawn as this (milliseconds, and what else is not 0). */
const almostNothing = 0.001;

/** A figure against the number of connections. undefined where it is known for less than two numbers. */
export function overConnections(results: Results, scenario: string, figure: Figure): Chart | undefined {
  const rows = connectionsOf(results, scenario).map((connections) => ({
    connections,
    summaries: row(results, scenario, connections).map((cell) => cell && summarise(figure, cell)),
  }));
  const known = rows.filter(({ summaries }) => summaries.some((one) => one !== undefined));
  if (known.length < 2) return undefined;

  const all = known.flatMap(({ summaries }) => summaries.filter((one) => one !== undefined));
  const most = Math.max(...all.map((one) => one.most));
  const least = Math.min(...all.map((one) => one.least));
  const isLog = latencies.test(figure.name) || (least > 0 && most / least > wide);
  const floor = isLog ? almostNothing : 0;
  const at = known.map(({ connections }) => connections);
  const lines = results.contenders.map(({ name }, contender) => {
    const summaries = known.map((one) => one.summaries[contender]);
    return {
      contender,
      name,
      mark: markOf(contender),
      values: summaries.map((one) => (one === undefined ? null : Math.max(one.median, floor))),
      texts: summaries.map((one) => (one === undefined ? null : writeWithRange(figure, one))),
      ranges: summaries.map((one) =>
        one === undefined || one.least === one.most ? null : ([Math.max(one.least, floor), one.most] as const),
      ),
    };
  });
  return {
    x: only(at, (connections) => connections.toLocaleString('en')),
    y: isLog ? logarithmic(Math.max(least, floor), Math.max(most, floor), figure.write) : linear(most, figure.write),
    at,
    places: at.map(countConnections),
    lines: lines.filter(({ values }) => values.some((value) => value !== null)),
  };
}

/** On the axis of percentiles the maximum, which would be infinitely far away, is put here. */
const maximum = 40_000;

/** Where an axis of percentiles is labelled. */
const labelled: readonly number[] = [0, 50, 90, 99, 99.9, 99.99, 100];

/** How long requests took, one chart for each number of connections; all have the same y axis, to be compared. */
export function distributions(
  results: Results,
  scenario: string,
): readonly { readonly connections: number; readonly chart: Chart }[] {
  const sets = connectionsOf(results, scenario).flatMap((connections) => {
    const curves = row(results, scenario, connections).map((cell) => cell && curveOf(cell));
    return curves.some((curve) => curve !== undefined) ? [{ connections, curves }] : [];
  });
  if (sets.length === 0) return [];
  const all = sets.flatMap(({ curves }) => curves.flatMap((curve) => curve ?? []));
  const write = figures.find(({ name }) => name === 'max')?.write ?? String;
  const y = logarithmic(Math.min(...all), Math.max(...all), write);
  const ticks = labelled.map((percentile) => [positionOf(percentile), percentileText(percentile)] as const);
  const x: Axis = { isLog: true, from: 1 / 1.3, to: maximum * 1.3, ticks };

  return sets.map(({ connections, curves }) => ({
    connections,
    chart: {
      x,
      y,
      at: distribution.map(positionOf),
      places: distribution.map(percentileText),
      lines: results.contenders.flatMap(({ name }, contender) => {
        const values = curves[contender];
        return values ? [{ contender, name, mark: markOf(contender), values, texts: values.map(write) }] : [];
      }),
    },
  }));
}

/** Milliseconds at each percentile: the median of the rounds. */
function curveOf({ rounds }: Cell): readonly number[] | undefined {
  const curves = rounds.flatMap(({ latencyMs }) => (latencyMs ? [latencyMs.distribution] : []));
  if (curves.length === 0) return undefined;
  return distribution.map((_, i) => Math.max(almostNothing, median(curves.flatMap((curve) => curve[i] ?? []))));
}

/** As in the plots of HdrHistogram: each nine takes the same room. */
function positionOf(percentile: number): number {
  return percentile === 100 ? maximum : 100 / (100 - percentile);
}

function percentileText(percentile: number): string {
  return percentile === 0 ? 'min' : percentile === 100 ? 'max' : `p${percentile}`;
}

export function writeWithRange({ write }: Pick<Figure, 'write'>, { median, least, most }: Summary): string {
  return least === most ? write(median) : `${write(median)} (${range({ write }, { least, most })})`;
}

export function range({ write }: Pick<Figure, 'write'>, { least, most }: Pick<Summary, 'least' | 'most'>): string {
  return `${write(least)} – ${write(most)}`;
}

export function countConnections(connections: number): string {
  return `${connections.toLocaleString('en')} ${connections === 1 ? 'connection' : 'connections'}`;
}
