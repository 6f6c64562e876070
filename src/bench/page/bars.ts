// Bars for what is known for one number of connections only, or for none. Each has its name and its value beside it.
import { type Figure, rank, type Summary } from '../summary.js';
import { writeWithRange } from './chart.js';
import { type Html, html } from './html.js';
import { markOf, swatch } from './mark.js';
import { badge } from './table.js';

export interface Bar {
  /** Its number in the results. */
  readonly contender: number;
  readonly name: string;
  readonly summary: Summary;
}

/** From 0; a thin line shows from where to where the rounds were, unless it would be too short to be seen. */
export function bars(figure: Pick<Figure, 'better' | 'write'>, all: readonly Bar[]): Html {
  const most = Math.max(...all.map(({ summary }) => summary.most)) || 1;
  const width = (value: number) => ((value / most) * 100).toFixed(2);
  const ranks = rank(
    figure,
    all.map(({ summary }) => summary),
  );
  const rows = all.map(({ contender, name, summary }, i) => {
    const { median, least } = summary;
    const spread = summary.most - least;
    const range = html`<rect class="range" x="${width(least)}" y="4.5" width="${width(spread)}" height="1"/>`;
    return html`<li><span class="name">${swatch(contender)} ${name}</span>
<svg class="bar mark-${markOf(contender).colour}" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="length" width="${width(median)}" height="10"/>${spread < most / 100 ? undefined : range}</svg>
<span class="value">${badge(ranks[i])}${writeWithRange(figure, summary)}</span></li>`;
  });
  return html`<ul class="bars">${rows}</ul>`;
}
