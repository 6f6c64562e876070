// Bar charts, for metrics with only one number of connections and for boot times.
import { type Metric, rank, type Summary } from '../summary.js';
import { writeWithRange } from './chart.js';
import { type Html, html } from './html.js';
import { markOf, swatch } from './mark.js';
import { badge } from './table.js';

export interface Bar {
  /** Index in `results.contenders`. */
  readonly contender: number;
  readonly name: string;
  readonly summary: Summary;
}

/** Bars from 0, each with a thin line for the range over the rounds, unless the line would be too short to see. */
export function bars(metric: Pick<Metric, 'better' | 'write'>, all: readonly Bar[]): Html {
  const max = Math.max(...all.map(({ summary }) => summary.max)) || 1;
  const width = (value: number) => ((value / max) * 100).toFixed(2);
  const ranks = rank(
    metric,
    all.map(({ summary }) => summary),
  );
  const rows = all.map(({ contender, name, summary }, i) => {
    const { median, min } = summary;
    const spread = summary.max - min;
    const range = html`<rect class="range" x="${width(min)}" y="4.5" width="${width(spread)}" height="1"/>`;
    return html`<li><span class="name">${swatch(contender)} ${name}</span>
<svg class="bar mark-${markOf(contender).colour}" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="length" width="${width(median)}" height="10"/>${spread < max / 100 ? undefined : range}</svg>
<span class="value">${badge(ranks[i])}${writeWithRange(metric, summary)}</span></li>`;
  });
  return html`<ul class="bars">${rows}</ul>`;
}
