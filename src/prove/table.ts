// The results as text: a table for each model, a row for each trial, and then what it comes to in sentences.
import { columns } from '../log/columns.js';
import type { Habit } from './messages.js';
import type { Proof, Results, Row } from './results.js';

/** Whose pauses are shown, and as what. */
const shown: readonly (readonly [Habit, string])[] = [
  ['kept-alive', 'kept ones'],
  ['one request each', 'new ones'],
];
const head = [
  '',
  'times',
  'requests',
  'answered',
  'lost',
  'reconnects',
  ...shown.flatMap(([, what]) => [what, 'calm']),
];
const legend =
  'The last columns: the longest pause of a client on a connection that it keeps, and on a new one, which is served by a\nprocess or thread of its own in ppc and tpc; and what both were before, when it was calm.';

/** Plain text without colours, for a terminal or a file. */
export function table(results: Results): string {
  const { machine, app, version, settings, proofs, notes } = results;
  const clients = Object.entries(settings.clients).map(([habit, count]) => `${count} × ${habit}`);
  const top = [
    `${app} under mpserve ${version} on Node ${machine.node}, ${machine.cores} × ${machine.cpu}, ${machine.os}`,
    `Clients that never ask twice: ${clients.join(', ')}; ${settings.thinkMs} ms from an answer to the next request.`,
  ];
  const parts = proofs.map((proof) => `${proof.model}, ${proof.size || 'not started'}\n${body(proof)}`);
  return [
    top.join('\n'),
    ...parts,
    ...legendOf(results),
    ...notes.map((note) => `Note: ${note}.`),
    verdict(results),
  ].join('\n\n');
}

function legendOf({ proofs }: Results): readonly string[] {
  return proofs.some(({ trials }) => trials.some(({ pauses }) => pauses.length > 0)) ? [legend] : [];
}

function body({ failure, trials }: Proof): string {
  if (failure !== undefined) return `FAILED ${failure}`;
  const made = trials.filter((row) => row.leftOut === undefined);
  const lines = made.length > 0 ? [columns([head, ...made.map(cells)])] : [];
  const rest = trials.flatMap((row) => (row.leftOut === undefined ? [] : [`${row.trial}: left out: ${row.leftOut}`]));
  return [...lines, ...rest, ...made.flatMap(remarks)].join('\n');
}

function cells(row: Row): readonly string[] {
  const counts = [row.times, row.requests, row.answered, row.lost, row.reconnects];
  const pauses = shown.flatMap(([habit]) => {
    const { ms = 0, calmMs = 0 } = row.pauses.find(({ client }) => client === habit) ?? {};
    return [ms, calmMs].map((longest) => `${Math.round(longest)} ms`);
  });
  return [row.trial, ...counts.map((count) => count.toLocaleString('en')), ...pauses];
}

/** What was lost and why, and what that means. */
function remarks({ trial, failure, reasons, unavoidable, avoidable, complaints = [] }: Row): readonly string[] {
  const what = reasons.map(({ client, reason, count }) => `${count} × ${reason} (${client})`).join(', ');
  return [
    ...(failure === undefined ? [] : [`FAILED ${trial}: ${failure}`]),
    ...(unavoidable > 0
      ? [`${trial}: ${avoidable > 0 ? `${unavoidable} of these were` : 'was'} on what had ended: ${what}`]
      : []),
    ...(avoidable > 0 ? [`LOST ${trial}: ${avoidable} that need not have been: ${what}`] : []),
    ...complaints.map((sentence) => `  the server: ${sentence}`),
  ];
}

function verdict({ avoidable, failures, interrupted }: Results): string {
  if (interrupted) return 'It was stopped before it was through.';
  if (avoidable > 0) return `${avoidable} request(s) or connection(s) were lost that need not have been.`;
  if (failures > 0) return `Nothing was lost that need not have been, but ${failures} thing(s) have failed.`;
  return 'Nothing was lost that need not have been.';
}
