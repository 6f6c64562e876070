// `mpserve prove`: runs each trial under each model. Every trial gets a server and a client pool of its own, so that
// one trial cannot affect the results of another.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Values } from '../config/config.js';
import type { ModelFacts } from '../config/model.js';
import type { Variant } from '../config/variant.js';
import type { StartupError } from '../errors.js';
import { thisMachine } from '../testbed/machine.js';
import type { Progress } from '../testbed/progress.js';
import { ClientPool } from './client-pool.js';
import { measure } from './measure.js';
import type { Workload } from './messages.js';
import { checkResponses, type ExpectedResponses } from './preflight.js';
import { type ModelResult, type Results, resultOf, schema, type TrialResult } from './results.js';
import { type ConfigSettings, Server } from './server.js';
import type { Trial, TrialContext, TrialOptions } from './trial.js';
import { clientCounts, loopback, requestFailures, slowBodyMs, slowHeadMs } from './workload.js';

export interface Plan {
  readonly app: string;
  readonly version: string;
  /** The models under test. */
  readonly setups: readonly ModelSetup[];
  /** Those to which a server may switch. */
  readonly switchVariants: readonly Variant[];
  readonly trials: readonly Trial[];
  readonly trialOptions: TrialOptions;
  /** The path that clients GET. */
  readonly path: string;
  /** The path that slow-body clients POST to. */
  readonly uploadPath: string;
  readonly keptAliveClients: number;
  readonly thinkMs: number;
  /** Remarks for the results. */
  readonly notes: readonly string[];
  /** The environment of the servers. */
  readonly env: NodeJS.ProcessEnv;
  readonly onProgress: (progress: Progress) => void;
  /** Aborts the run; the result holds the trials done before. */
  readonly signal: AbortSignal;
}

/** A model and the content of its server's configuration file. */
export interface ModelSetup {
  readonly facts: ModelFacts;
  readonly variant: Variant;
  readonly retriesSafe: boolean;
  readonly settings: ConfigSettings;
  readonly timeouts: Pick<Values, 'headerTimeout' | 'requestTimeout' | 'gracefulTimeout'>;
}

/** The response time of a small app, to estimate how many requests a client sends (milliseconds). */
const typicalResponseMs = 3;

/** @throws StartupError when the app starts under none of the models */
export async function prove(plan: Plan): Promise<Results> {
  const { setups, trials, signal } = plan;
  const at = new Date().toISOString();
  const all = setups.length * trials.length;
  const modelResults: ModelResult[] = [];
  const notes = new Set(plan.notes);
  let done = 0;
  const progress = (doing: string) => plan.onProgress({ doing, done, all });

  let failure: StartupError | undefined;
  for (const setup of setups) {
    if (signal.aborted) break;
    const { name } = setup.variant;
    progress(`${name}: checking that the app starts and responds`);
    try {
      const { size, expected } = await preflight(plan, setup);
      const results: TrialResult[] = [];
      modelResults.push({ model: name, size, trials: results });
      if (typeof expected.upload === 'string') notes.add(`no slow-body clients, because ${expected.upload}`);
      for (const trial of trials) {
        if (signal.aborted) break;
        progress(`${name}: ${trial.name}`);
        const result = await runTrial(trial, setup, expected, plan);
        if (result) results.push(result);
        done++;
      }
    } catch (error) {
      if (signal.aborted) break;
      failure = error as StartupError;
      modelResults.push({ model: name, size: '', trials: [], failure: failure.message });
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
    settings: {
      url: plan.path,
      thinkMs: plan.thinkMs,
      clients: clientCounts(plan.keptAliveClients, notes.size === plan.notes.length),
    },
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
    return { size: server.size, expected: await checkResponses(loopback(server.port), path, uploadPath) };
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
  const { facts, variant, retriesSafe, settings: userSettings, timeouts } = setup;
  const { trialOptions: options, signal, keptAliveClients, thinkMs } = plan;
  const otherVariants = plan.switchVariants.filter(({ name }) => name !== variant.name);
  const reason = trial.skipReason?.({ facts, otherVariants, options });
  if (reason) return { ...resultOf(trial.name), leftOut: reason };
  const requestsPerSecond = (keptAliveClients * 1000) / (thinkMs + typicalResponseMs);
  let server: Server | undefined;
  let clientPool: ClientPool | undefined;
  try {
    const settings = { ...userSettings, ...trial.settings?.(userSettings, requestsPerSecond) };
    server = await Server.start(settings, { ...plan.env, ...trial.env }, signal);
    const workload = workloadOf(server, plan, setup, expected);
    clientPool = new ClientPool(signal);
    await clientPool.call('start', workload);
    const context: TrialContext = {
      server,
      clientPool,
      facts,
      variant,
      retriesSafe,
      otherVariants,
      options,
      workload,
      gracefulMs: timeouts.gracefulTimeout,
      sleep: async (ms) => void (await sleep(ms, undefined, { signal })),
    };
    const result = await measure(trial.name, context, () => trial.run(context), signal);
    const isGood = result.avoidable === 0 && result.failure === undefined;
    return isGood ? result : { ...result, complaints: server.loggedProblems };
  } catch (error) {
    if (signal.aborted) return undefined;
    return { ...resultOf(trial.name), failure: (error as Error).message };
  } finally {
    clientPool?.kill();
    await server?.stop();
  }
}

function workloadOf(server: Server, plan: Plan, { timeouts }: ModelSetup, expected: ExpectedResponses): Workload {
  const { port, controlSocket } = server;
  const { status, upload } = expected;
  const { path, thinkMs } = plan;
  const third = (timeoutMs: number) => (timeoutMs === 0 ? Number.POSITIVE_INFINITY : timeoutMs / 3);
  return {
    endpoint: loopback(port),
    controlSocket,
    path,
    status,
    failureStatuses: requestFailures,
    ...(typeof upload === 'object' && { upload }),
    clients: clientCounts(plan.keptAliveClients, typeof upload === 'object'),
    thinkMs,
    headMs: Math.min(slowHeadMs, third(timeouts.headerTimeout), third(timeouts.requestTimeout)),
    bodyMs: Math.min(slowBodyMs, third(timeouts.requestTimeout)),
  };
}
