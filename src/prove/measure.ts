// What the clients see before and during one trial, as its result.
import { once } from 'node:events';
import type { ClientPool } from './client-pool.js';
import { resultOf, type TrialResult } from './results.js';
import type { TrialOutcome } from './trial.js';

/** Warm-up, because code is slow when it first runs; then the baseline, without any operation (milliseconds). */
const warmUpMs = 500;
const baselineMs = 2000;

/** What the clients need of a trial. */
export interface Measured {
  readonly clientPool: ClientPool;
  /** @throws when the run is stopped */
  sleep(ms: number): Promise<void>;
}

/**
 * Warms up, takes the baseline, runs the trial, and waits for the requests in flight.
 * @param trial its name
 * @throws when `signal` is aborted
 */
export async function measure(
  trial: string,
  { clientPool, sleep }: Measured,
  run: () => Promise<TrialOutcome>,
  signal: AbortSignal,
): Promise<TrialResult> {
  await sleep(warmUpMs);
  const warmUp = await clientPool.call('stats');
  await sleep(baselineMs);
  const baseline = await clientPool.call('stats');
  let outcome: TrialOutcome = { times: 0 };
  let failure: string | undefined;
  const over = new AbortController();
  try {
    outcome = await Promise.race([run(), aborted(signal, over.signal)]);
  } catch (error) {
    signal.throwIfAborted();
    failure = (error as Error).message;
  } finally {
    over.abort();
  }
  const duringTrial = await clientPool.call('finish');
  return { ...resultOf(trial, outcome, [warmUp, baseline, duringTrial]), ...(failure && { failure }) };
}

/** @param over ends the wait */
async function aborted(signal: AbortSignal, over: AbortSignal): Promise<never> {
  signal.throwIfAborted();
  await once(signal, 'abort', { signal: over });
  throw signal.reason;
}
