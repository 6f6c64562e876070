// Bar charts, for metrics with only one number of connections and for boot times.
import type { Contender } from '../results.js';
import type { Metric, Rank, Summary } from '../summary.js';
import { writeWithRange } from './chart.js';
import { type Html, html } from './html.js';
import { markOf, swatch } from './mark.js';
import { badge } from './table.js';

/**
 * Bars from 0, the best first, each with a thin line for the range over the rounds, unless the line would be too short to see.
 * @param summaries one for each target; undefined draws no bar
 */
export function bars(
  metric: Pick<Metric, 'better' | 'write'>,
  contenders: readonly Contender[],
  summaries: readonly (Summary | undefined)[],
  ranks: readonly (Rank | undefined)[],
): Html {
  const max = Math.max(...summaries.map((one) => one?.max ?? 0)) || 1;
  const width = (value: number) => ((value / max) * 100).toFixed(2);
  const sign = metric.better === 'less' ? 1 : -1;
  const known = summaries.flatMap((summary, i) => (summary ? [{ summary, i }] : []));
  known.sort((a, b) => sign * (a.summary.median - b.summary.median));
  const rows = known.map(({ summary, i }) => {
    const spread = summary.max - summary.min;
    const range = html`<rect class="range" x="${width(summary.min)}" y="4.5" width="${width(spread)}" height="1"/>`;
    return html`<li><span class="name">${swatch(i)} ${contenders[i]?.name}</span>
<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect fill="var(${markOf(i).colour})" width="${width(summary.median)}" height="10"/>${spread < max / 100 ? undefined : range}</svg>
<span class="value">${badge(ranks[i])}${writeWithRange(metric, summary)}</span></li>`;
  });
  return html`<ul class="bars">${rows}</ul>`;
}
