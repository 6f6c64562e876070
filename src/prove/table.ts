// The results as text: the verdict in words, then a table for each model with a row for each trial, the losses and their
// reasons.
import { columns } from '../log/columns.js';
import { titleOf } from '../testbed/machine.js';
import type { ClientType } from './messages.js';
import type { ModelResult, Results, TrialResult } from './results.js';

/** The client types whose longest response time is shown, and the title of that column. */
const responseTimeColumns: readonly (readonly [ClientType, string])[] = [
  ['kept-alive', 'kept-alive'],
  ['one request each', 'new'],
];
const head = [
  '',
  'times',
  'requests',
  'answered',
  'failed',
  'lost',
  'reconnects',
  ...responseTimeColumns.flatMap(([, title]) => [title, 'baseline']),
];
const legend =
  'Last columns: the longest response time on a kept-alive and on a new connection (which ppc and tpc serve with a new\nprocess or thread), each with its baseline before the trial.';
const targetLegend =
  'Last columns: the longest response time on a kept-alive and on a new connection, each with its baseline in the first\nseconds. Requests that failed had status 502, 503 or 504; a reconnect is no loss.';

/** Plain text without colours, for a terminal or a file. */
export function table(results: Results): string {
  const { settings, proofs, notes, target } = results;
  const clients = Object.entries(settings.clients).map(([type, count]) => `${count} × ${type}`);
  const title = [
    titleOf(results, target === undefined ? 'under' : 'asked by'),
    `Clients, without retries: ${clients.join(', ')}; ${settings.thinkMs} ms between a response and the next request.`,
  ];
  const hasTimes = proofs.some(({ trials }) => trials.some(({ pauses }) => pauses.length > 0));
  const sections = proofs.map((result) =>
    target === undefined
      ? `${result.model}, ${result.size || 'not started'}\n${modelTable(result)}`
      : modelTable(result),
  );
  return [
    title.join('\n'),
    inShort(results),
    ...sections,
    ...(hasTimes ? [target === undefined ? legend : targetLegend] : []),
    ...notes.map((note) => `Note: ${note}.`),
    verdict(results),
  ].join('\n\n');
}

/** For the first screen: what was lost, and in which trials. */
function inShort({ proofs, avoidable, failures, interrupted, target }: Results): string {
  const trials = proofs.flatMap(({ model, trials }) => trials.map((result) => ({ model, ...result })));
  const ran = trials.filter(({ leftOut }) => leftOut === undefined).length;
  const counted = trials.reduce((sum, { requests }) => sum + requests, 0).toLocaleString('en');
  const where = target === undefined ? `${ran} trial(s)` : `${counted} request(s)`;
  const found = [
    avoidable === 0 ? 'no avoidable losses' : `${avoidable.toLocaleString('en')} avoidable loss(es)`,
    ...(failures > 0 ? [`${failures} failure(s)`] : []),
  ].join(' and ');
  const notStarted = proofs.filter(({ failure }) => failure !== undefined);
  return [
    `In short${interrupted ? ', until it was interrupted' : ''}: ${found} in ${where}.`,
    ...notStarted.map(({ model }) => `  ${model}: did not start`),
    ...trials.flatMap(({ model, trial, failure, avoidable: lost }) => [
      ...(lost > 0 && target === undefined
        ? [`  ${trial} under ${model}: ${lost.toLocaleString('en')} lost avoidably`]
        : []),
      ...(failure === undefined ? [] : [`  ${trial} under ${model}: failed`]),
    ]),
  ].join('\n');
}

function modelTable({ failure, trials }: ModelResult): string {
  if (failure !== undefined) return `FAILED ${failure}`;
  const ran = trials.filter((result) => result.leftOut === undefined);
  const lines = ran.length > 0 ? [columns([head, ...ran.map(cells)])] : [];
  const skipped = trials.flatMap(({ trial, leftOut }) =>
    leftOut === undefined ? [] : [`${trial}: skipped: ${leftOut}`],
  );
  return [...lines, ...skipped, ...ran.flatMap(remarks)].join('\n');
}

function cells(result: TrialResult): readonly string[] {
  const counts = [result.times, result.requests, result.answered, result.failed, result.lost, result.reconnects];
  const times = responseTimeColumns.flatMap(([type]) => {
    const { ms = 0, calmMs = 0 } = result.pauses.find(({ client }) => client === type) ?? {};
    return [ms, calmMs].map((longest) => `${Math.round(longest)} ms`);
  });
  return [result.trial, ...counts.map((count) => count.toLocaleString('en')), ...times];
}

/** The failure, the losses with their reasons, and the server's warnings. */
function remarks(result: TrialResult): readonly string[] {
  const { trial, failure, reasons, unavoidable, avoidable, complaints = [] } = result;
  const losses = reasons.map(({ client, reason, count }) => `${count} × ${reason} (${client})`).join(', ');
  return [
    ...(failure === undefined ? [] : [`FAILED ${trial}: ${failure}`]),
    ...(unavoidable > 0 ? [`${trial}: ${unavoidable} unavoidable, on the killed worker or thread: ${losses}`] : []),
    ...(avoidable > 0 ? [`LOST ${trial}: ${avoidable} avoidable: ${losses}`] : []),
    ...complaints.map((message) => `  server log: ${message}`),
  ];
}

function verdict({ avoidable, failures, interrupted }: Results): string {
  if (interrupted) return 'Interrupted before all trials were done.';
  if (avoidable > 0) return `${avoidable} avoidable loss(es) of requests or connections.`;
  if (failures > 0) return `No avoidable losses, but ${failures} model(s) or trial(s) failed.`;
  return 'No avoidable losses.';
}
