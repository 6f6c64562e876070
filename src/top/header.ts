// The lines above the table: the server as a whole.
import { summaryOf } from '../control/loop-summary.js';
import type { Status } from '../control/protocol.js';
import { duration, grouped } from '../control/text.js';
import { clean } from './cells.js';
import { count } from './figures.js';
import { type Line, span, type Tone } from './line.js';
import { totalRate, type WorkerRows } from './rows.js';
import type { Snapshot } from './snapshot.js';

const stateTones: Readonly<Record<Status['state'], Tone>> = {
  serving: 'good',
  starting: 'warn',
  degraded: 'warn',
  drained: 'warn',
  stopping: 'warn',
  down: 'bad',
};

/** @param rows of the same snapshots @param isShort without what does not change */
export function headerLines(
  { status, workers, at }: Snapshot,
  previous: Snapshot | undefined,
  rows: readonly WorkerRows[],
  isPaused: boolean,
  isShort: boolean,
): readonly Line[] {
  const { state, doing, model, unit, generation, uptimeMs, pid, app, urls, lastError } = status;
  const summary = summaryOf(workers.flatMap(({ loops }) => loops));
  const placed = workers.flatMap(({ connections }) => connections ?? []);
  const connections = summary?.connections ?? (placed.length > 0 ? sum(placed) : undefined);
  const answered = previous && status.requests >= previous.status.requests && at > previous.at;
  // Where workers come and go, those of now have not answered all requests.
  const rate =
    totalRate(rows) ??
    (answered ? ((status.requests - previous.status.requests) / (at - previous.at)) * 1000 : undefined);
  const { wanted, ready } = status.workers;
  const first: Line = [
    ...(isPaused ? [span(' paused ', 'title'), span(' ')] : []),
    span(clean(state), stateTones[state]),
    ...(doing ? [span(`, ${clean(doing)} in progress`, 'warn')] : []),
    span(
      ` · ${clean(model)}${unit ? `, unit ${clean(unit)}` : ''} · generation ${generation} · up ${duration(uptimeMs)} · pid ${pid}`,
    ),
  ];
  const figures: Line = [
    span(`req/s ${count(rate)}`, 'strong'),
    span(` · connections ${count(connections)} · in flight ${count(summary?.inFlight)} · `),
    span(`workers ${ready}/${wanted}`, ready < wanted ? 'warn' : 'plain'),
    span(` · requests ${grouped(Math.max(status.requests, answeredBy(rows)))}`),
  ];
  const failure: readonly Line[] = lastError
    ? [[span('last error', 'bad'), span(` ${clean(`${lastError.at}: ${lastError.message}`)}`)]]
    : [];
  if (isShort) return [first, figures];
  return [first, [span(clean(`${app} on ${urls.join(', ')}`), 'quiet')], figures, ...failure];
}

/** By the workers that are there. What the server knows is up to two seconds old, but has those that have gone as well. */
function answeredBy(rows: readonly WorkerRows[]): number {
  return sum(rows.map(({ worker }) => worker.requests));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
