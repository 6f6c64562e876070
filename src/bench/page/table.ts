// The tables of the page, with the same rows as the table in the terminal.
import type { Results } from '../results.js';
import {
  connectionsOf,
  type Metric,
  metricOf,
  metricRows,
  metrics,
  type Rank,
  type Summary,
  spreadPercent,
} from '../summary.js';
import { bestFirst } from '../verdict.js';
import { countConnections } from './chart.js';
import { type Html, html } from './html.js';

/** All metrics of a scenario: a row for each metric, a column for each target that was measured, the best first. */
export function metricTable(results: Results, scenario: string): Html {
  const shown = bestFirst(results, scenario);
  const groups = connectionsOf(results, scenario).map((connections) =>
    group(results, scenario, connections, metrics, shown, html`${countConnections(connections)}`),
  );
  return table(`All metrics of ${scenario}`, results, shown, groups);
}

/** The main metrics of every scenario at its largest number of connections, and its errors if there are any. */
export function overview(results: Results): Html {
  const shown = bestFirst(results);
  const leading = metrics.filter(({ name }) => ['rps', 'p99', 'memory'].includes(name));
  const groups = results.scenarios.flatMap(({ name }, i) => {
    const connections = connectionsOf(results, name).at(-1);
    if (connections === undefined) return [];
    const title = html`<a href="#scenario-${i + 1}">${name}</a>, ${countConnections(connections)}`;
    return [group(results, name, connections, [...errorsIn(results, name), ...leading], shown, title)];
  });
  return table('At a glance', results, shown, groups);
}

/** The metric `errors`, if any request of the scenario failed. */
export function errorsIn({ cells }: Results, scenario: string): readonly Metric[] {
  const rounds = cells.filter((cell) => cell.scenario === scenario).flatMap((cell) => cell.rounds);
  const errors = metricOf('errors');
  return rounds.some((round) => errors.of(round)) ? [errors] : [];
}

/** A box that scrolls a wide table horizontally, by keyboard as well. */
export function scrolling(label: string, content: Html): Html {
  return html`<div class="scrolling" tabindex="0" role="region" aria-label="${label}">${content}</div>`;
}

/** The badge of a value that is the best or ties with it. */
export function badge(rank: Rank | undefined): Html | undefined {
  if (rank === undefined) return undefined;
  return rank === 'best'
    ? html`<span class="badge" role="img" aria-label="best" title="best">★</span> `
    : html`<span class="badge" role="img" aria-label="tie" title="ties with the best">≈</span> `;
}

function table(label: string, { contenders }: Results, shown: readonly number[], groups: readonly Html[]): Html {
  const head = shown.map((i) => html`<th scope="col">${contenders[i]?.name}</th>`);
  return scrolling(label, html`<table><thead><tr><th scope="col">metric</th>${head}</tr></thead>${groups}</table>`);
}

/** The rows of one scenario with one number of connections. */
function group(
  results: Results,
  scenario: string,
  connections: number,
  among: readonly Metric[],
  shown: readonly number[],
  title: Html,
): Html {
  const rows = metricRows(results, scenario, connections, among).map(({ metric, summaries, ranks, reasons }) => {
    const cells = shown.map((i) => metricCell(metric, summaries[i], ranks[i], reasons[i]));
    return html`<tr><th scope="row">${metric.title}</th>${cells}</tr>`;
  });
  return html`<tbody><tr class="group"><th colspan="${shown.length + 1}" scope="rowgroup"><span>${title}</span></th></tr>${rows}</tbody>`;
}

/** @param reason why there is no value */
function metricCell(
  { write }: Metric,
  summary: Summary | undefined,
  rank: Rank | undefined,
  reason: string | undefined,
): Html {
  if (summary === undefined) return html`<td><small>${reason ?? '–'}</small></td>`;
  const spread = spreadPercent(summary);
  return html`<td class="${rank ?? 'other'}">${badge(rank)}${write(summary.median)}${spread > 0 ? html` <small>± ${spread} %</small>` : undefined}</td>`;
}
