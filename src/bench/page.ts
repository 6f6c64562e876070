// The results as a self-contained HTML page: it loads no other file and needs no network. Metrics, ranks and units come
// from summary.ts.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { bars } from './page/bars.js';
import { type Chart, countConnections, distributions, overConnections } from './page/chart.js';
import { Html, html, json } from './page/html.js';
import { swatch } from './page/mark.js';
import { errorsIn, metricTable, overview, scrolling } from './page/table.js';
import type { Results, ScenarioInfo } from './results.js';
import { connectionsOf, type Metric, metricRows, metrics, rank, summaryOf } from './summary.js';
import { bestFirst, headline, unmarkedReason, verdicts } from './verdict.js';

/** @returns an HTML document @param results untrusted: the page escapes every string */
export function page(results: Results): string {
  const { styles, scripts } = assets();
  const policy = [
    "default-src 'none'",
    `style-src ${styles.map(hash).join(' ')}`,
    `script-src ${scripts.map(hash).join(' ')}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  // The empty icon stops the browser from requesting /favicon.ico.
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${new Html(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>mpserve bench: ${results.app}</title>
<link rel="icon" href="data:,">
${styles.map((text) => html`<style>${new Html(text)}</style>\n`)}</head>
<body>
<header>
<h1>Concurrency models compared</h1>
</header>
<main>
${inShort(results)}
${facts(results)}
${notices(results)}
${contents(results)}
${contenders(results)}
${results.scenarios.map((scenario, i) => section(results, scenario, i + 1))}
</main>
${scripts.map((text) => html`<script>${new Html(text)}</script>\n`)}</body>
</html>
`.text;
}

/** Reads the files when a page is rendered, not when this module is loaded. */
function assets(): { readonly styles: readonly string[]; readonly scripts: readonly string[] } {
  const { resolve } = createRequire(import.meta.url);
  const read = (file: string | URL) => readFileSync(file, 'utf8').trim();
  return {
    styles: [read(resolve('uplot/dist/uPlot.min.css')), read(new URL('../bench/page/style.css', import.meta.url))],
    scripts: [
      read(resolve('uplot/dist/uPlot.iife.min.js')),
      read(new URL('../bench/page/browser.js', import.meta.url)),
    ],
  };
}

/** The source expression that allows one inline style or script in the Content-Security-Policy. */
function hash(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

/** The verdict in words, for the first screen. */
function inShort(results: Results): Html {
  const overall = headline(results);
  const items = verdicts(results).map(
    ({ scenario, finding, values }) => html`<li><strong>${scenario}:</strong> ${finding} <small>${values}</small></li>`,
  );
  const content = html`${overall === undefined ? undefined : html`<p>${overall}.</p>`}<ul>${items}</ul>`;
  return card('short', 'In short', items.length === 0 ? html`<p>Nothing was measured.</p>` : content);
}

function facts({ at, app, version, machine, settings }: Results): Html {
  const { rounds, durationMs, rate } = settings;
  const load =
    rate === undefined
      ? 'closed loop: each connection waits for the response before it sends the next request'
      : `open loop: ${rate.toLocaleString('en')} requests/s, whether or not earlier requests have completed`;
  const rows: readonly (readonly [string, Html | string])[] = [
    ['App', html`<code>${app}</code>`],
    ['Date', html`<time datetime="${at}">${at.replace('T', ' ').replace(/(:\d\d)(\.\d+)?Z$/, '$1 UTC')}</time>`],
    ['Machine', `${machine.cores} × ${machine.cpu}, ${(machine.memoryBytes / 1e9).toFixed(1)} GB, ${machine.os}`],
    ['Versions', `mpserve ${version}, Node ${machine.node}`],
    ['Settings', `${rounds} ${rounds === 1 ? 'round' : 'rounds'} of ${durationMs / 1000} s; ${load}`],
  ];
  return html`<dl class="facts">${rows.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

/** Warnings and failures, above all metrics. */
function notices({ contenders, warnings, interrupted }: Results): Html | undefined {
  const all = [
    ...(interrupted
      ? [html`<strong>The comparison was stopped before its end.</strong> Some metrics are missing.`]
      : []),
    ...contenders.flatMap(({ name, failure }) =>
      failure === undefined ? [] : [html`<strong>${name} could not be measured:</strong> ${failure}`],
    ),
    ...warnings.map((warning) => html`${warning}`),
  ];
  if (all.length === 0) return undefined;
  const items = all.map((one) => html`<li>${one}</li>`);
  return card('notices', 'Before you read the metrics', html`<ul>${items}</ul>`, 'notice');
}

function contents(results: Results): Html {
  const reason = unmarkedReason(results);
  const marks = reason ?? '★ best. ≈ tie: the ranges over the rounds overlap, or the medians differ by less than 5 %';
  const content = html`<p>${marks}. ± is half the range over the rounds.</p>
${overview(results)}`;
  const links = results.scenarios.map(({ name }, i) => html`<li><a href="#scenario-${i + 1}">${name}</a></li>`);
  const nav = html`<nav aria-label="Scenarios"><ul>${links}</ul></nav>`;
  return card('glance', 'At a glance', html`${results.cells.length === 0 ? html`<p>No metrics.</p>` : content}${nav}`);
}

function contenders({ contenders }: Results): Html {
  const rows = contenders.map(
    ({ name, size, command, failure }, i) =>
      html`<tr><th scope="row">${swatch(i)} ${name}</th><td>${size || '–'}</td><td><code>${command}</code>${failure === undefined ? undefined : html`<br><span class="bad">Failed: ${failure}</span>`}</td></tr>`,
  );
  const boots = contenders.map(({ bootMs }) => summaryOf(bootMs));
  const table = html`<table class="contenders"><thead><tr><th scope="col">name</th><th scope="col">workers&nbsp;× threads</th><th scope="col">command</th></tr></thead><tbody>${rows}</tbody></table>`;
  const bootTimes = boots.some((one) => one !== undefined)
    ? figure(
        html`From spawn to ready <small>less is better</small>`,
        bars(bootTime, contenders, boots, boots.includes(undefined) ? [] : rank(bootTime, boots)),
      )
    : html`<p>Unknown.</p>`;
  return card('contenders', 'Targets', html`${scrolling('Targets', table)}<h3>Boot time</h3>${bootTimes}`);
}

/** Not one of `metrics`, because boot time does not depend on the scenario. */
const bootTime: Pick<Metric, 'better' | 'write'> = { better: 'less', write: (value) => `${Math.round(value)} ms` };

/** The metrics with a chart, after errors if there are any; the table has all metrics. */
const chartedMetrics = ['rps', 'p99', 'cpu', 'memory', 'memory-per-connection', 'held', 'unfairness'];

function section(results: Results, { name, summary }: ScenarioInfo, number: number): Html {
  const id = `scenario-${number}`;
  if (connectionsOf(results, name).length === 0) {
    return card(id, name, html`<p>${summary}</p><p>Not measured.</p>`, 'scenario');
  }
  const curves = distributions(results, name).map(({ connections, chart }) =>
    chartFigure(
      html`Latency at ${countConnections(connections)} <small>by percentile; logarithmic; less is better</small>`,
      chart,
      `${name}: latency by percentile at ${countConnections(connections)}. ${textAlternative(chart, chart.xLabels.indexOf('p99'))}`,
    ),
  );
  const charted = metrics.filter((one) => chartedMetrics.includes(one.name));
  const charts = [...errorsIn(results, name), ...charted].map((one) => chartOrBars(results, name, one));
  const content = html`<p>${summary}</p>
${legend(results, name)}
<noscript><p>The charts need JavaScript. The table below has their values.</p></noscript>
<div class="charts">${charts}</div>
${curves.length === 0 ? undefined : html`<h3>Latency distribution</h3><div class="charts">${curves}</div>`}
<details open><summary><h3>All metrics</h3></summary>${metricTable(results, name)}</details>
`;
  return card(id, name, content, 'scenario');
}

function card(id: string, title: string, content: Html, kind = ''): Html {
  return html`<section class="card ${kind}" aria-labelledby="${id}"><h2 id="${id}">${title}</h2>${content}</section>`;
}

/** A line chart over the number of connections, or bars if there is only one such number. */
function chartOrBars(results: Results, scenario: string, one: Metric): Html | undefined {
  const known = connectionsOf(results, scenario).flatMap((connections) =>
    metricRows(results, scenario, connections, [one]).map((row) => ({ connections, ...row })),
  );
  const [first] = known;
  if (!first) return undefined;
  const [title, direction] = [capitalise(one.title), `${one.better} is better`];
  if (known.length === 1) {
    const caption = html`${title} <small>at ${countConnections(first.connections)}; ${direction}</small>`;
    return figure(caption, bars(one, results.contenders, first.summaries, first.ranks));
  }
  const chart = overConnections(results, one, known);
  return chartFigure(
    html`${title} <small>by connections; ${chart.y.isLog ? 'logarithmic; ' : ''}${direction}</small>`,
    chart,
    `${scenario}: ${one.title} by number of connections. ${textAlternative(chart, chart.xValues.length - 1)}`,
  );
}

function chartFigure(caption: Html, chart: Chart, alternative: string): Html {
  const data = html`<script type="application/json">${json(chart)}</script>`;
  return figure(caption, html`<div class="chart" role="img" tabindex="0" aria-label="${alternative}"></div>${data}`);
}

function figure(caption: Html, content: Html): Html {
  return html`<figure><figcaption>${caption}</figcaption>${content}</figure>`;
}

/** The text alternative of a chart for screen readers: its values at one x value. */
function textAlternative({ lines, xLabels }: Chart, index: number): string {
  const values = lines.flatMap(({ name, valueLabels }) =>
    valueLabels[index] ? [`${name} ${valueLabels[index]}`] : [],
  );
  return `At ${xLabels[index]}: ${values.join('; ')}. The table below has all values.`;
}

/** The legend, with a checkbox that shows or hides each line. */
function legend(results: Results, scenario: string): Html {
  const entries = bestFirst(results, scenario).map(
    (i) =>
      html`<label><input type="checkbox" value="${i}" checked autocomplete="off">${swatch(i)} ${results.contenders[i]?.name}</label>`,
  );
  return html`<fieldset class="legend" aria-label="Targets in the charts">${entries}</fieldset>`;
}

function capitalise(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
