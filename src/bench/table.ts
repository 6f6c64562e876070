// The results as text: a table for each scenario, with a column for each target.
import { columns } from '../log/columns.js';
import { titleOf } from '../testbed/machine.js';
import type { Results } from './results.js';
import { connectionsOf, type Metric, metricRows, type Summary, spreadPercent } from './summary.js';
import { headline, unmarkedReason, verdicts } from './verdict.js';

const marks = { best: '*', tie: '=', other: ' ' } as const;

/** Plain text without colours, for a terminal or a file. */
export function table(results: Results): string {
  const { contenders, scenarios, settings } = results;
  const loop = settings.rate === undefined ? '' : `, ${settings.rate} requests/s`;
  const head = [
    titleOf(results),
    `${settings.rounds} round(s) of ${settings.durationMs / 1000} s${loop}: medians ± half the range. ${legend(results)}`,
  ];
  const measured = contenders.filter(
    ({ failure, name }) => !failure || results.cells.some((cell) => cell.contender === name),
  );
  const boots = [
    ['', ...measured.map(({ name }) => name)],
    ['workers × threads', ...measured.map(({ size }) => size)],
    ['boot time', ...measured.map(({ bootMs }) => (bootMs.length > 0 ? `${Math.round(Math.min(...bootMs))} ms` : ''))],
  ];
  const parts = scenarios.flatMap(({ name, summary }) => {
    const lines = rows(results, name);
    return lines.length > 0
      ? [`${name}: ${summary}\n${columns([['', ...contenders.map((one) => one.name)], ...lines])}`]
      : [];
  });
  const failed = contenders.flatMap(({ name, failure }) =>
    failure ? [`${name} could not be measured: ${failure}`] : [],
  );
  const notes = results.warnings.map((warning) => `Note: ${warning}.`);
  const interrupted = results.interrupted ? ['The comparison was stopped before its end.'] : [];
  return [head.join('\n'), inShort(results), columns(boots), ...parts, ...failed, ...notes, ...interrupted].join(
    '\n\n',
  );
}

/** The verdict in words, before the tables. */
function inShort(results: Results): string {
  const overall = headline(results);
  const lines = verdicts(results).map(
    ({ scenario, finding, values }) => `  ${scenario}: ${finding}${values && ` (${values})`}`,
  );
  return [overall === undefined ? 'In short:' : `In short: ${overall}.`, ...lines].join('\n');
}

/** What the marks mean, or why there are none. */
function legend(results: Results): string {
  const reason = unmarkedReason(results);
  return reason ? `${reason}.` : '* best, = tie: the ranges overlap, or the medians differ by less than 5 %.';
}

function rows(results: Results, scenario: string): string[][] {
  return connectionsOf(results, scenario).flatMap((connections) =>
    metricRows(results, scenario, connections).map(({ metric, summaries, ranks, reasons }) => {
      const values = summaries.map(
        (one, i) => `${one ? write(metric, one) : (reasons[i] ?? '')} ${marks[ranks[i] ?? 'other']}`,
      );
      return [`${metric.title}, ${connections} conn.`, ...values];
    }),
  );
}

function write(metric: Metric, summary: Summary): string {
  const spread = spreadPercent(summary);
  return `${metric.write(summary.median)}${spread > 0 ? ` ±${spread}%` : ''}`;
}
