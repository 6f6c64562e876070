// The big figures.
import type { RatePoint } from '../live.js';
import { byId, element, setData, setText } from './dom.js';
import { quantile, rate } from './format.js';

interface Figure {
  readonly name: string;
  /** @returns the number and its unit */
  readonly of: (point: RatePoint) => readonly [value: string, unit: string];
  readonly isBad?: (point: RatePoint) => boolean;
}

const figures: readonly Figure[] = [
  { name: 'requests/s', of: ({ requests }) => [rate(requests), ''] },
  { name: 'p50', of: ({ p50 }) => quantile(p50) },
  { name: 'p99', of: ({ p99 }) => quantile(p99) },
  { name: 'errors/s (5xx)', of: ({ errors }) => [rate(errors), ''], isBad: ({ errors }) => errors > 0 },
  { name: 'connections', of: ({ connections }) => [String(connections), ''] },
];

export class FiguresView {
  readonly #boxes = figures.map(({ name }) => {
    const [value, unit] = [element('span'), element('small')];
    const box = element('div', '', element('dt', '', name), element('dd', '', value, ' ', unit));
    byId('figures').append(box);
    return { box, value, unit };
  });

  /** @param point the last one; undefined before there is one */
  show(point: RatePoint | undefined): void {
    for (const [i, { of, isBad }] of figures.entries()) {
      const view = this.#boxes[i];
      if (!view) continue;
      const [value, unit] = point ? of(point) : ['–', ''];
      setText(view.value, value);
      setText(view.unit, unit);
      setData(view.box, 'bad', String(point !== undefined && (isBad?.(point) ?? false)));
    }
  }
}
