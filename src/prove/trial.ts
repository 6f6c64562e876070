// A trial: what mpserve does to a server while clients send it requests.
import type { ModelFacts } from '../config/model.js';
import type { Variant } from '../config/variant.js';
import type { ClientPool } from './client-pool.js';
import type { Workload } from './messages.js';
import type { ConfigSettings, Server } from './server.js';

export interface Trial {
  readonly name: string;
  /** One phrase without a full stop. */
  readonly summary: string;
  /** Why the trial cannot run, as the end of "skipped: …"; undefined if it can. */
  skipReason?(context: Pick<TrialContext, 'facts' | 'otherVariants' | 'options'>): string | undefined;
  /** Settings that the trial adds to the user's. @param requestsPerSecond an estimate over all clients */
  settings?(userSettings: ConfigSettings, requestsPerSecond: number): ConfigSettings;
  /** Environment variables that the trial adds. */
  readonly env?: NodeJS.ProcessEnv;
  /** Settles when the server has settled after the last operation. @throws Error with a one-line reason on failure */
  run(context: TrialContext): Promise<TrialOutcome>;
}

export interface TrialOutcome {
  /** How often the operation was done. */
  readonly times: number;
  /** Connections that the trial cannot avoid breaking: those of the killed worker or thread. Default: 0. */
  readonly brokenConnections?: number;
  /** Requests that the trial cannot avoid failing with 502 or 504: those that ran on the dead thread. Default: 0. */
  readonly failedRequests?: number;
  /** A connection that is closed between two requests is no loss. Default: it is one. */
  readonly mayReconnect?: boolean;
}

export interface TrialContext {
  readonly server: Server;
  readonly clientPool: ClientPool;
  readonly facts: ModelFacts;
  /** --retry-safe is set. */
  readonly retriesSafe: boolean;
  readonly variant: Variant;
  /** Those to which the server may switch. */
  readonly otherVariants: readonly Variant[];
  readonly options: TrialOptions;
  readonly workload: Workload;
  /** `--graceful-timeout` (milliseconds). */
  readonly gracefulMs: number;
  /** @throws when the run is stopped */
  sleep(ms: number): Promise<void>;
}

/** How many operations a trial makes. */
export interface TrialOptions {
  readonly reloads: number;
  readonly scalings: number;
  readonly upgrades: number;
  readonly switches: 'some' | 'all' | 'none';
}

/** Between two operations (milliseconds), so that the trial does not overload a small machine. */
export const operationIntervalMs = 200;
/** After `kill` and `hang`: clients reconnect to the replacement (milliseconds). */
export const reconnectMs = 1000;
/** How long a drain may exceed `--graceful-timeout` (milliseconds). */
const drainMarginMs = 10_000;

/** Waits until all workers are ready and no worker drains. @throws Error */
export function untilSettled({ server, gracefulMs }: Pick<TrialContext, 'server' | 'gracefulMs'>): Promise<void> {
  return server.untilSettled(gracefulMs + drainMarginMs);
}

interface ReleaseContext extends Pick<TrialContext, 'sleep'> {
  readonly server: Pick<Server, 'writeRelease' | 'configure' | 'act'>;
}

/** A release that a reload must refuse. */
export interface BadRelease {
  /** As `an app that throws while it loads`. */
  readonly words: string;
  readonly code: string;
  readonly settings?: ConfigSettings;
  /** A part of the error with which the reload must fail. */
  readonly error: string;
}

/**
 * Reloads a release that must be refused; the server's configuration is the user's again afterwards.
 * @param countMs if the reload succeeds: what it loses meanwhile is counted
 * @throws Error if the reload succeeds, is not tried, or fails for another reason
 */
export async function reloadRefused(
  { server, sleep }: ReleaseContext,
  { words, code, settings, error }: BadRelease,
  countMs = 0,
): Promise<void> {
  server.configure({ ...settings, app: server.writeRelease(code) });
  const outcome = await server.act('reload');
  server.configure({});
  if (outcome.ok) {
    await sleep(countMs);
    throw new Error(`the reload succeeded with ${words}`);
  }
  if (outcome.refused) throw new Error(`the reload was not tried: ${outcome.error}`);
  if (!outcome.error.includes(error))
    throw new Error(`the reload with ${words} failed for another reason: ${outcome.error}`);
  await sleep(operationIntervalMs);
}

/**
 * Runs `operation` with the numbers 1 to `times`, one after another, and waits until the server has settled.
 * @throws Error with the first failure
 */
export async function repeat(
  context: TrialContext,
  times: number,
  operation: (i: number) => Promise<void>,
): Promise<TrialOutcome> {
  for (let i = 1; i <= times; i++) {
    await operation(i);
    await context.sleep(operationIntervalMs);
  }
  await untilSettled(context);
  return { times };
}
