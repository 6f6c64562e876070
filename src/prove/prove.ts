// `mpserve prove`: runs each trial under each model. Every trial gets a server and a client pool of its own, so that
// one trial cannot affect the results of another.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ModelFacts } from '../config/model.js';
import type { StartupError } from '../errors.js';
import { thisMachine } from '../testbed/machine.js';
import { ClientPool } from './client-pool.js';
import { secretVariable } from './hang-secret.js';
import type { ClientStats, ClientType, Workload } from './messages.js';
import { checkResponses, type ExpectedResponses } from './preflight.js';
import {
  failed,
  longestResponseTimes,
  lossReasons,
  type ModelResult,
  type Results,
  schema,
  skipped,
  type TrialResult,
} from './results.js';
import { type ConfigSettings, Server } from './server.js';
import type { Trial, TrialContext, TrialOptions, TrialOutcome } from './trial.js';

export interface Plan {
  readonly app: string;
  readonly version: string;
  /** The models under test. */
  readonly setups: readonly ModelSetup[];
  /** The names of all models that mpserve has. */
  readonly allModels: readonly string[];
  readonly trials: readonly Trial[];
  readonly trialOptions: TrialOptions;
  /** The path that clients GET. */
  readonly path: string;
  /** The path that slow-body clients POST to. */
  readonly uploadPath: string;
  readonly keptAliveClients: number;
  readonly thinkMs: number;
  /** The environment of the servers. */
  readonly env: NodeJS.ProcessEnv;
  readonly onProgress: (progress: { doing: string; done: number; all: number }) => void;
  /** Aborts the run; the result holds the trials done before. */
  readonly signal: AbortSignal;
}

/** A model and the content of its server's configuration file. */
export interface ModelSetup {
  readonly facts: ModelFacts;
  readonly settings: ConfigSettings;
  readonly timeouts: Timeouts;
}

/** In milliseconds; 0 is no limit. */
export interface Timeouts {
  readonly headerMs: number;
  readonly requestMs: number;
  readonly gracefulMs: number;
}

/** Clients of the types that have no option. */
const otherClients = { 'one request each': 2, 'slow head': 2, 'slow body': 2 } as const;
/** How long a slow head and a slow body take to send (milliseconds), at most a third of the server's timeout. */
const slowHeadMs = 1500;
const slowBodyMs = 2000;
/** Warm-up, because code is slow when it first runs; then the baseline, without any operation (milliseconds). */
const warmUpMs = 500;
const baselineMs = 2000;
/** The response time of a small app, to estimate how many requests a client sends (milliseconds). */
const typicalResponseMs = 3;

/** @throws StartupError when the app starts under none of the models */
export async function prove(plan: Plan): Promise<Results> {
  const { setups, trials, signal } = plan;
  const at = new Date().toISOString();
  const all = setups.length * (trials.length + 1);
  const modelResults: ModelResult[] = [];
  const notes = new Set<string>();
  let done = 0;
  const progress = (doing: string) => plan.onProgress({ doing, done: done++, all });

  let failure: StartupError | undefined;
  for (const setup of setups) {
    if (signal.aborted) break;
    const { name } = setup.facts;
    progress(`${name}: checking that the app starts and responds`);
    const results: TrialResult[] = [];
    let size = '';
    try {
      const checked = await preflight(plan, setup);
      size = checked.size;
      const { expected } = checked;
      if (typeof expected.upload === 'string') notes.add(`no slow-body clients, because ${expected.upload}`);
      for (const trial of trials) {
        if (signal.aborted) break;
        progress(`${name}: ${trial.name}`);
        const result = await runTrial(trial, setup, expected, plan);
        if (result) results.push(result);
      }
      modelResults.push({ model: name, size, trials: results });
    } catch (error) {
      if (signal.aborted) break;
      failure = error as StartupError;
      modelResults.push({ model: name, size, trials: results, failure: failure.message });
      done += trials.length;
    }
  }
  if (failure && modelResults.every((result) => result.failure !== undefined)) throw failure;

  const trialResults = modelResults.flatMap((result) => result.trials);
  return {
    schema,
    at,
    machine: thisMachine(),
    version: plan.version,
    app: plan.app,
    settings: { url: plan.path, thinkMs: plan.thinkMs, clients: clientsOf(plan, notes.size === 0) },
    proofs: modelResults,
    notes: [...notes],
    avoidable: trialResults.reduce((sum, { avoidable }) => sum + avoidable, 0),
    failures: [...modelResults, ...trialResults].filter((one) => one.failure !== undefined).length,
    interrupted: signal.aborted,
  };
}

async function preflight({ path, uploadPath, env, signal }: Plan, { settings }: ModelSetup) {
  const server = await Server.start(settings, env, signal);
  try {
    return { size: server.size, expected: await checkResponses(server.port, path, uploadPath) };
  } finally {
    await server.stop();
  }
}

/** @returns undefined when the run was aborted */
async function runTrial(
  trial: Trial,
  setup: ModelSetup,
  expected: ExpectedResponses,
  plan: Plan,
): Promise<TrialResult | undefined> {
  const { facts, settings: userSettings, timeouts } = setup;
  const { trialOptions: options, signal, keptAliveClients, thinkMs } = plan;
  const reason = trial.skipReason?.({ facts, options });
  if (reason) return skipped(trial.name, reason);
  const requestsPerSecond = (keptAliveClients * 1000) / (thinkMs + typicalResponseMs);
  const secret = randomBytes(16).toString('hex');
  let server: Server | undefined;
  let clientPool: ClientPool | undefined;
  try {
    const settings = { ...userSettings, ...trial.settings?.({ userSettings, requestsPerSecond }) };
    server = await Server.start(settings, { ...plan.env, [secretVariable]: secret }, signal);
    const workload = workloadOf(server, plan, setup, expected);
    clientPool = new ClientPool(signal);
    await clientPool.start(workload);
    const context: TrialContext = {
      server,
      clientPool,
      facts,
      otherModels: plan.allModels.filter((name) => name !== facts.name),
      options,
      userSettings,
      requestsPerSecond,
      workload,
      secret,
      gracefulMs: timeouts.gracefulMs,
      sleep: async (ms) => void (await sleep(ms, undefined, { signal })),
    };
    return await measure(trial, context, signal);
  } catch (error) {
    if (signal.aborted) return undefined;
    return failed(trial.name, (error as Error).message);
  } finally {
    clientPool?.kill();
    await server?.stop();
  }
}

/** Warms up, takes the baseline, and runs the trial. */
async function measure(trial: Trial, context: TrialContext, signal: AbortSignal): Promise<TrialResult> {
  const { clientPool } = context;
  await context.sleep(warmUpMs);
  const warmUp = await clientPool.stats();
  await context.sleep(baselineMs);
  const baseline = await clientPool.stats();
  let outcome: TrialOutcome = { times: 0 };
  let failure: string | undefined;
  try {
    outcome = await abortable(trial.run(context), signal);
  } catch (error) {
    signal.throwIfAborted();
    failure = (error as Error).message;
  }
  const duringTrial = await abortable(clientPool.finish(), signal);
  return { ...resultOf(trial.name, outcome, warmUp, baseline, duringTrial), ...(failure && { failure }) };
}

/** Settles as `promise` does, or rejects when `signal` is aborted. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const settled = new AbortController();
  const aborted = new Promise<never>((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason), { once: true, signal: settled.signal }),
  );
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    settled.abort();
  }
}

function resultOf(
  trial: string,
  { times, brokenConnections = 0 }: TrialOutcome,
  ...phases: readonly [warmUp: ClientStats, baseline: ClientStats, duringTrial: ClientStats]
): TrialResult {
  const [, baseline, duringTrial] = phases;
  const lost = phases.flatMap(({ losses }) => losses);
  const answered = phases.reduce((sum, stats) => sum + stats.answered, 0);
  const reconnects = phases.flatMap((stats) => stats.reconnects);
  const losses = lost.length + reconnects.length;
  const unavoidable = Math.min(losses, brokenConnections);
  return {
    trial,
    times,
    requests: answered + lost.length,
    answered,
    lost: lost.length,
    reconnects: reconnects.length,
    pauses: longestResponseTimes(baseline.longestResponseTimes, duringTrial.longestResponseTimes),
    unavoidable,
    avoidable: losses - unavoidable,
    reasons: lossReasons([...lost, ...reconnects]),
  };
}

function workloadOf(server: Server, plan: Plan, { timeouts }: ModelSetup, expected: ExpectedResponses): Workload {
  const { port, controlSocket } = server;
  const { status, upload } = expected;
  const { path, thinkMs } = plan;
  const third = (timeoutMs: number) => (timeoutMs === 0 ? Number.POSITIVE_INFINITY : timeoutMs / 3);
  return {
    port,
    controlSocket,
    path,
    status,
    ...(typeof upload === 'object' && { upload }),
    clients: clientsOf(plan, typeof upload === 'object'),
    thinkMs,
    headMs: Math.min(slowHeadMs, third(timeouts.headerMs), third(timeouts.requestMs)),
    bodyMs: Math.min(slowBodyMs, third(timeouts.requestMs)),
  };
}

function clientsOf({ keptAliveClients }: Plan, hasUpload: boolean): Readonly<Record<ClientType, number>> {
  return { 'kept-alive': keptAliveClients, ...otherClients, ...(hasUpload ? {} : { 'slow body': 0 }) };
}
