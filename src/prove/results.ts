// What a proof comes to, as plain data: what `--json` writes, and what the table is made from. docs/prove.md describes it
// for readers of the file.
import type { Habit, Loss, Pause } from './messages.js';

/** Changes when a reader of the older form would misread the newer one. */
export const schema = 'mpserve-prove/1';

export interface Results {
  readonly schema: typeof schema;
  /** When it began (ISO 8601). */
  readonly at: string;
  readonly machine: {
    readonly node: string;
    readonly os: string;
    readonly cpu: string;
    readonly cores: number;
  };
  /** Of mpserve. */
  readonly version: string;
  /** In words: a path, or `the built-in demo app`. */
  readonly app: string;
  readonly settings: {
    readonly url: string;
    readonly thinkMs: number;
    readonly clients: Readonly<Record<Habit, number>>;
  };
  readonly proofs: readonly Proof[];
  /** What a reader should know besides, in sentences. */
  readonly notes: readonly string[];
  /** Of all trials: what was lost, and connections that were closed, though they need not have been. */
  readonly avoidable: number;
  /** Trials that did not come true, and models under which the app does not run. */
  readonly failures: number;
  /** It was stopped before it was through. */
  readonly interrupted: boolean;
}

/** One model. */
export interface Proof {
  readonly model: string;
  /** Workers × threads, in words: `2 × 1`. */
  readonly size: string;
  readonly trials: readonly Row[];
  /** Why there are no trials, in one line. */
  readonly failure?: string;
}

/** One trial. Requests that were sent are those that were answered and those that are lost. */
export interface Row {
  readonly trial: string;
  /** How often it was done. */
  readonly times: number;
  readonly requests: number;
  readonly answered: number;
  readonly lost: number;
  readonly reconnects: number;
  readonly pauses: readonly Longest[];
  /** Of what was lost and reconnects, what could not be helped, and what could. */
  readonly unavoidable: number;
  readonly avoidable: number;
  /** Of what was lost and reconnects, by client and reason. */
  readonly reasons: readonly Reason[];
  /** Why it was left out; then all figures are 0. */
  readonly leftOut?: string;
  /** Why it has not come true, in one line. */
  readonly failure?: string;
  /** What the server has logged as a warning or an error, at most a few of it; only where something was avoidable or failed. */
  readonly complaints?: readonly string[];
}

/** The longest time from the last byte of a request to the last byte of its answer, of all clients of one habit. */
export interface Longest {
  readonly client: Habit;
  /** In the trial, and in two seconds before it. */
  readonly ms: number;
  readonly calmMs: number;
  /** When it ended, since the trial began (milliseconds). */
  readonly atMs: number;
}

export interface Reason {
  readonly client: Habit;
  readonly reason: string;
  readonly count: number;
  /** When, since the trial began (milliseconds); of the first few. */
  readonly atMs: readonly number[];
}

/** So many times are told. */
const mostTimes = 10;

export function leftOut(trial: string, why: string): Row {
  return { ...nothing, trial, leftOut: why };
}

/** One that could not be begun. */
export function failed(trial: string, why: string): Row {
  return { ...nothing, trial, failure: why };
}

const nothing = {
  times: 0,
  requests: 0,
  answered: 0,
  lost: 0,
  reconnects: 0,
  pauses: [],
  unavoidable: 0,
  avoidable: 0,
  reasons: [],
};

export function pausesOf(calm: readonly Pause[], tried: readonly Pause[]): readonly Longest[] {
  return tried.map(({ habit, ms, atMs }) => {
    const calmMs = calm.find((pause) => pause.habit === habit)?.ms ?? 0;
    return { client: habit, ms, calmMs, atMs };
  });
}

export function reasonsOf(losses: readonly Loss[]): readonly Reason[] {
  const reasons = new Map<string, Reason & { atMs: number[] }>();
  for (const { habit, reason, atMs } of losses) {
    const key = `${habit} ${reason}`;
    const before = reasons.get(key) ?? { client: habit, reason, count: 0, atMs: [] };
    if (before.atMs.length < mostTimes) before.atMs.push(atMs);
    reasons.set(key, { ...before, count: before.count + 1 });
  }
  return [...reasons.values()];
}
