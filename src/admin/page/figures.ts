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
  readonly isBad?: (points: Points, at: number) => boolean;
}

/** Errors are shown as such for so long: one a minute would be a flash that nobody sees (milliseconds). */
const badMs = 60_000;

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
      const last = lastError(points);
      return last
        ? `peak ${rate(highest(points, ({ errors }) => errors))}, last ${duration(at - last.at)} ago`
        : 'none';
    },
    isBad: (points, at) => at - (lastError(points)?.at ?? 0) < badMs,
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
      setData(box, 'bad', String(figure.isBad?.(points, at) ?? false));
    }
  }
}

function highest(points: Points, of: (point: RatePoint) => number | null): number {
  return points.reduce((most, point) => Math.max(most, of(point) ?? 0), 0);
}

function lastError(points: Points): RatePoint | undefined {
  return points.findLast(({ errors }) => errors > 0);
}
