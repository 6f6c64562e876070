// The big figures, of the last second. Below each is what it was at its worst, so that a glance does not miss it.
import type { RatePoint } from '../live.js';
import { byId, element, setData, setText } from './dom.js';
import { duration, quantile, rate } from './format.js';

type Points = readonly RatePoint[];

interface Figure {
  readonly name: string;
  /** @returns the number and its unit */
  readonly of: (point: RatePoint) => readonly [value: string, unit: string];
  /** @param points at least one */
  readonly note: (points: Points, at: number) => string;
  /** Of when it was bad last; undefined if it was not. */
  readonly badAt?: (points: Points) => number | undefined;
}

/** A figure that was bad is marked for this time: a flash would not be seen (milliseconds). */
const markedMs = 60_000;

const figures: readonly Figure[] = [
  {
    name: 'requests/s',
    of: ({ requests }) => [rate(requests), ''],
    note: (points) => `peak ${rate(highest(points, ({ requests }) => requests))}`,
  },
  {
    name: 'p50',
    of: ({ p50 }) => quantile(p50),
    note: (points) => `peak ${quantile(highest(points, ({ p50 }) => p50)).join(' ')}`,
  },
  {
    name: 'p99',
    of: ({ p99 }) => quantile(p99),
    note: (points) => `peak ${quantile(highest(points, ({ p99 }) => p99)).join(' ')}`,
  },
  {
    name: 'errors/s (5xx)',
    of: ({ errors }) => [rate(errors), ''],
    note: (points, at) => {
      const last = lastErrorAt(points);
      if (last === undefined) return 'none';
      return `peak ${rate(highest(points, ({ errors }) => errors))}, last ${duration(at - last)} ago`;
    },
    badAt: lastErrorAt,
  },
  {
    name: 'connections',
    of: ({ connections }) => [rate(connections), ''],
    note: (points) => `peak ${rate(highest(points, ({ connections }) => connections))}`,
  },
];

export class FiguresView {
  readonly #boxes = figures.map((figure) => {
    const [value, unit, note] = [element('span'), element('small'), element('dd', 'note')];
    const box = element('div', '', element('dt', '', figure.name), element('dd', '', value, ' ', unit), note);
    byId('figures').append(box);
    return { figure, box, value, unit, note };
  });

  /** @param points of the time shown */
  show(points: Points, at: number): void {
    const last = points.at(-1);
    for (const { figure, box, value, unit, note } of this.#boxes) {
      const [valueText, unitText] = last ? figure.of(last) : ['–', ''];
      setText(value, valueText);
      setText(unit, unitText);
      setText(note, last ? figure.note(points, at) : '–');
      const badAt = figure.badAt?.(points);
      const isMarked = badAt !== undefined && at - badAt < markedMs;
      setData(box, 'bad', !isMarked ? 'no' : badAt === last?.at ? 'now' : 'lately');
    }
  }
}

function highest(points: Points, of: (point: RatePoint) => number | null): number {
  return points.reduce((most, point) => Math.max(most, of(point) ?? 0), 0);
}

function lastErrorAt(points: Points): number | undefined {
  return points.findLast(({ errors }) => errors > 0)?.at;
}
