// The tables of the page: the same rows as the terminal's, in HTML.
import type { Contender, Results } from '../results.js';
import { connectionsOf, type Figure, figures, rank, row, type Summary, summarise } from '../summary.js';
import { countConnections } from './chart.js';
import { type Html, html } from './html.js';

/** Every figure of a scenario: a row for each, a column for each contender that has any. */
export function figureTable(results: Results, scenario: string): Html {
  const shown = indexesOf(results, scenario);
  const bodies = connectionsOf(results, scenario).map((connections) => {
    const rows = figures.map((figure) => figureRow(results, scenario, connections, figure, shown));
    return html`<tbody><tr class="group"><th colspan="${shown.length + 1}" scope="rowgroup"><span>${countConnections(connections)}</span></th></tr>${rows}</tbody>`;
  });
  return scrolling(
    `All figures of ${scenario}`,
    html`<table><thead>${headRow('figure', names(results, shown))}</thead>${bodies}</table>`,
  );
}

/** What a reader looks for first, of every scenario at its greatest number of connections. */
export function overview(results: Results): Html {
  const shown = results.contenders.flatMap(({ name }, i) =>
    results.cells.some(({ contender }) => contender === name) ? [i] : [],
  );
  const leading = figures.filter(({ name }) => ['rps', 'p99', 'memory'].includes(name));
  const bodies = results.scenarios.flatMap(({ name }, i) => {
    const connections = connectionsOf(results, name).at(-1);
    if (connections === undefined) return [];
    const rows = leading.map((figure) => figureRow(results, name, connections, figure, shown));
    return [
      html`<tbody><tr class="group"><th colspan="${shown.length + 1}" scope="rowgroup"><span><a href="#scenario-${i + 1}">${name}</a>, ${countConnections(connections)}</span></th></tr>${rows}</tbody>`,
    ];
  });
  return scrolling(
    'At a glance',
    html`<table><thead>${headRow('figure', names(results, shown))}</thead>${bodies}</table>`,
  );
}

/** A box in which a wide table moves without the page; with the keyboard too. */
export function scrolling(label: string, content: Html): Html {
  return html`<div class="scrolling" tabindex="0" role="region" aria-label="${label}">${content}</div>`;
}

/** What stands beside a value that is the best, or as good. */
export function badge(place: 'best' | 'tie' | undefined): Html | undefined {
  if (place === undefined) return undefined;
  return place === 'best'
    ? html`<span class="badge" role="img" aria-label="best" title="best">★</span> `
    : html`<span class="badge" role="img" aria-label="tie" title="as good as the best">≈</span> `;
}

/** The numbers of the contenders that were measured in it. */
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

function figureRow(
  results: Results,
  scenario: string,
  connections: number,
  figure: Figure,
  shown: readonly number[],
): Html | undefined {
  const cells = row(results, scenario, connections);
  const summaries = shown.map((i) => {
    const cell = cells[i];
    return cell && summarise(figure, cell);
  });
  if (summaries.every((one) => one === undefined)) return undefined;
  const ranks = rank(figure, summaries);
  const columns = summaries.map((one, i) =>
    one === undefined
      ? html`<td><span class="quiet">–</span></td>`
      : html`<td class="${ranks[i] ?? 'other'}">${badge(ranks[i])}${figure.write(one.median)}${spread(one)}</td>`,
  );
  return html`<tr><th scope="row">${figure.title}</th>${columns}</tr>`;
}

/** Half the range over the rounds, as a share of the median. */
function spread({ median, least, most }: Summary): Html | undefined {
  const percent = median > 0 ? Math.round(((most - least) / 2 / median) * 100) : 0;
  return percent > 0 ? html` <small>± ${percent} %</small>` : undefined;
}
