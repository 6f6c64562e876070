// The tables of the page, with the same rows as the table in the terminal.
import type { Contender, Results } from '../results.js';
import { connectionsOf, type Metric, metrics, rank, row, type Summary, summarise } from '../summary.js';
import { countConnections } from './chart.js';
import { type Html, html } from './html.js';

/** All metrics of a scenario: a row for each metric, a column for each target that was measured. */
export function metricTable(results: Results, scenario: string): Html {
  const shown = indexesOf(results, scenario);
  const bodies = connectionsOf(results, scenario).map((connections) => {
    const rows = metrics.map((metric) => metricRow(results, scenario, connections, metric, shown));
    return html`<tbody><tr class="group"><th colspan="${shown.length + 1}" scope="rowgroup"><span>${countConnections(connections)}</span></th></tr>${rows}</tbody>`;
  });
  return scrolling(
    `All metrics of ${scenario}`,
    html`<table><thead>${headRow('metric', names(results, shown))}</thead>${bodies}</table>`,
  );
}

/** The main metrics of every scenario at its largest number of connections. */
export function overview(results: Results): Html {
  const shown = results.contenders.flatMap(({ name }, i) =>
    results.cells.some(({ contender }) => contender === name) ? [i] : [],
  );
  const leading = metrics.filter(({ name }) => ['rps', 'p99', 'memory'].includes(name));
  const bodies = results.scenarios.flatMap(({ name }, i) => {
    const connections = connectionsOf(results, name).at(-1);
    if (connections === undefined) return [];
    const rows = leading.map((metric) => metricRow(results, name, connections, metric, shown));
    return [
      html`<tbody><tr class="group"><th colspan="${shown.length + 1}" scope="rowgroup"><span><a href="#scenario-${i + 1}">${name}</a>, ${countConnections(connections)}</span></th></tr>${rows}</tbody>`,
    ];
  });
  return scrolling(
    'At a glance',
    html`<table><thead>${headRow('metric', names(results, shown))}</thead>${bodies}</table>`,
  );
}

/** A box that scrolls a wide table horizontally, by keyboard as well. */
export function scrolling(label: string, content: Html): Html {
  return html`<div class="scrolling" tabindex="0" role="region" aria-label="${label}">${content}</div>`;
}

/** The badge of a value that is the best or ties with it. */
export function badge(rank: 'best' | 'tie' | undefined): Html | undefined {
  if (rank === undefined) return undefined;
  return rank === 'best'
    ? html`<span class="badge" role="img" aria-label="best" title="best">★</span> `
    : html`<span class="badge" role="img" aria-label="tie" title="ties with the best">≈</span> `;
}

/** The indexes in `results.contenders` of the targets that were measured in the scenario. */
function indexesOf(results: Results, scenario: string): readonly number[] {
  return results.contenders.flatMap(({ name }, i) =>
    results.cells.some((cell) => cell.scenario === scenario && cell.contender === name) ? [i] : [],
  );
}

function names({ contenders }: Results, shown: readonly number[]): readonly string[] {
  return shown.map((i) => (contenders[i] as Contender).name);
}

function headRow(first: string, others: readonly string[]): Html {
  return html`<tr><th scope="col">${first}</th>${others.map((name) => html`<th scope="col">${name}</th>`)}</tr>`;
}

function metricRow(
  results: Results,
  scenario: string,
  connections: number,
  metric: Metric,
  shown: readonly number[],
): Html | undefined {
  const cells = row(results, scenario, connections);
  const summaries = shown.map((i) => {
    const cell = cells[i];
    return cell && summarise(metric, cell);
  });
  if (summaries.every((one) => one === undefined)) return undefined;
  const ranks = rank(metric, summaries);
  const columns = summaries.map((one, i) =>
    one === undefined
      ? html`<td><span class="quiet">–</span></td>`
      : html`<td class="${ranks[i] ?? 'other'}">${badge(ranks[i])}${metric.write(one.median)}${spread(one)}</td>`,
  );
  return html`<tr><th scope="row">${metric.title}</th>${columns}</tr>`;
}

/** Half the range over the rounds, as a share of the median. */
function spread({ median, min, max }: Summary): Html | undefined {
  const percent = median > 0 ? Math.round(((max - min) / 2 / median) * 100) : 0;
  return percent > 0 ? html` <small>± ${percent} %</small>` : undefined;
}
