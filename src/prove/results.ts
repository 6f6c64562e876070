// The results of `mpserve prove` as plain data, which `--json` writes and the table shows. docs/prove.md describes them
// for readers of the file.
import type { Machine } from '../testbed/machine.js';
import type { ClientStats, ClientType, LossReason } from './messages.js';
import { LossCount } from './tally.js';
import type { TrialOutcome } from './trial.js';

/** Changes when a reader of the previous version would misread the new one. */
export const schema = 'mpserve-prove/1';

export interface Results {
  readonly schema: typeof schema;
  /** Start of the run (ISO 8601). */
  readonly at: string;
  readonly machine: Machine;
  /** Of mpserve. */
  readonly version: string;
  /** A path, or `the built-in demo app`; with `--target`, its URL. */
  readonly app: string;
  /** `--target`: the URL of a server that `prove` has not started. */
  readonly target?: string;
  readonly settings: {
    readonly url: string;
    readonly thinkMs: number;
    readonly clients: Readonly<Record<ClientType, number>>;
  };
  readonly proofs: readonly ModelResult[];
  /** Remarks for the reader, as sentences without a full stop. */
  readonly notes: readonly string[];
  /** The sum over all trials. */
  readonly avoidable: number;
  /** Trials that failed, and models under which the app does not start. */
  readonly failures: number;
  /** The run was stopped before its end. */
  readonly interrupted: boolean;
}

export interface ModelResult {
  /** With `/request` behind it, its threads serve requests. With `--target` it is `target`. */
  readonly model: string;
  /** Workers × threads: `2 × 1`; empty with `--target`. */
  readonly size: string;
  readonly trials: readonly TrialResult[];
  /** Why no trial could run, in one line. */
  readonly failure?: string;
}

/**
 * `requests` is the sum of `answered`, `failed` and `lost`. A loss is a failed or lost request, or a reconnect; with
 * `--target` a reconnect is none.
 */
export interface TrialResult {
  readonly trial: string;
  /** How often the operation was done. */
  readonly times: number;
  readonly requests: number;
  readonly answered: number;
  /** Answered with 502 or 504 in place of the app, or with 503 of a balancer (`--target`). */
  readonly failed: number;
  readonly lost: number;
  readonly reconnects: number;
  /** The longest response time of each client type. */
  readonly pauses: readonly LongestResponseTime[];
  /** Losses of what was on a killed worker or thread: its connections, or its requests. */
  readonly unavoidable: number;
  /** All other losses. */
  readonly avoidable: number;
  /** Losses by client type and reason. */
  readonly reasons: readonly LossReason[];
  /** Why the trial was skipped; then all figures are 0. */
  readonly leftOut?: string;
  /** Why the trial failed, in one line. */
  readonly failure?: string;
  /** The last warnings and errors in the server's log; only where a loss was avoidable or the trial failed. */
  readonly complaints?: readonly string[];
}

export interface LongestResponseTime {
  readonly client: ClientType;
  /** During the trial (milliseconds). */
  readonly ms: number;
  /** The baseline: in the two seconds before the trial (milliseconds). */
  readonly calmMs: number;
  /** When the response was complete, since the trial's start (milliseconds). */
  readonly atMs: number;
}

/** @param phases the clients' statistics of the warm-up, the baseline and the trial; empty for a trial that was skipped or could not start */
export function resultOf(
  trial: string,
  { times, brokenConnections = 0, failedRequests = 0, mayReconnect = false }: TrialOutcome = { times: 0 },
  phases: readonly ClientStats[] = [],
): TrialResult {
  const [, baseline, duringTrial] = phases;
  const lost = phases.flatMap(({ losses }) => losses);
  const failed = phases.flatMap(({ failures }) => failures);
  const answered = phases.reduce((sum, stats) => sum + stats.answered, 0);
  const reconnects = phases.flatMap((stats) => stats.reconnects);
  const losses = countOf(lost) + (mayReconnect ? 0 : countOf(reconnects));
  const unavoidable = Math.min(losses, brokenConnections) + Math.min(countOf(failed), failedRequests);
  const pauses = duringTrial?.longestResponseTimes.map(({ clientType: client, ms, atMs }) => {
    const calm = baseline?.longestResponseTimes.find((time) => time.clientType === client);
    return { client, ms, calmMs: calm?.ms ?? 0, atMs };
  });
  return {
    trial,
    times,
    requests: answered + countOf(failed) + countOf(lost),
    answered,
    failed: countOf(failed),
    lost: countOf(lost),
    reconnects: countOf(reconnects),
    pauses: pauses ?? [],
    unavoidable,
    avoidable: countOf(failed) + losses - unavoidable,
    reasons: lossReasons([...failed, ...lost, ...reconnects]),
  };
}

function lossReasons(losses: readonly LossReason[]): readonly LossReason[] {
  const all = new LossCount();
  for (const loss of losses) all.add(loss);
  return all.list();
}

function countOf(losses: readonly LossReason[]): number {
  return losses.reduce((sum, { count }) => sum + count, 0);
}
