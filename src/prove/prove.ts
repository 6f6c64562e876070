// A proof: under each model, each trial with a server and a crowd of clients of its own, so that what one has broken
// is not laid at the door of another.
import { randomBytes } from 'node:crypto';
import { cpus, type as osType, release } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ModelFacts } from '../config/model.js';
import type { StartupError } from '../errors.js';
import { Crowd } from './client-pool.js';
import { secretVariable } from './hang-secret.js';
import type { Count, Habit, Job } from './messages.js';
import { check, type Target } from './preflight.js';
import { failed, leftOut, type Proof, pausesOf, type Results, type Row, reasonsOf, schema } from './results.js';
import { Server, type Settings } from './server.js';
import type { Counts, Done, Stage, Trial } from './trial.js';

export interface Plan {
  readonly app: string;
  readonly version: string;
  readonly contenders: readonly Contender[];
  /** All models. */
  readonly models: readonly string[];
  readonly trials: readonly Trial[];
  readonly counts: Counts;
  readonly path: string;
  /** Asked with POST for slow bodies. */
  readonly uploadPath: string;
  /** That keep their connection. */
  readonly clients: number;
  readonly thinkMs: number;
  /** Of the servers. */
  readonly env: NodeJS.ProcessEnv;
  readonly onProgress: (progress: { doing: string; done: number; all: number }) => void;
  /** Aborted to stop; what was done until then is the result. */
  readonly signal: AbortSignal;
}

/** A model, with what the server's configuration file is to hold. */
export interface Contender {
  readonly facts: ModelFacts;
  readonly settings: Settings;
  readonly limits: Limits;
}

/** In milliseconds; 0 is no limit. */
export interface Limits {
  readonly headerMs: number;
  readonly requestMs: number;
  readonly gracefulMs: number;
}

/** Clients of the habits that nobody chooses the number of. */
const others = { 'one request each': 2, 'slow head': 2, 'slow body': 2 } as const;
/** A head is sent, and a body, in so much time (milliseconds), or in a third of what they may take. */
const headMs = 1500;
const bodyMs = 2000;
/** Code that is run for the first time is slow; and then it is looked how it is when nothing happens (milliseconds). */
const warmMs = 500;
const calmMs = 2000;
/** What an answer of a small app takes, to guess how often a client asks (milliseconds). */
const answerMs = 3;

/** @throws StartupError when the app runs under none of the models */
export async function prove(plan: Plan): Promise<Results> {
  const { contenders, trials, signal } = plan;
  const at = new Date().toISOString();
  const all = contenders.length * (trials.length + 1);
  const proofs: Proof[] = [];
  const notes = new Set<string>();
  let done = 0;
  const progress = (doing: string) => plan.onProgress({ doing, done: done++, all });

  let failure: StartupError | undefined;
  for (const contender of contenders) {
    if (signal.aborted) break;
    const { name } = contender.facts;
    progress(`${name}: does it start and answer?`);
    const rows: Row[] = [];
    let size = '';
    try {
      const checked = await preflight(plan, contender);
      size = checked.size;
      const { target } = checked;
      if (typeof target.upload === 'string') notes.add(`slow bodies are left out, as ${target.upload}`);
      for (const trial of trials) {
        if (signal.aborted) break;
        progress(`${name}: ${trial.name}`);
        const row = await run(trial, contender, target, plan);
        if (row) rows.push(row);
      }
      proofs.push({ model: name, size, trials: rows });
    } catch (error) {
      if (signal.aborted) break;
      failure = error as StartupError;
      proofs.push({ model: name, size, trials: rows, failure: failure.message });
      done += trials.length;
    }
  }
  if (failure && proofs.every((proof) => proof.failure !== undefined)) throw failure;

  const rows = proofs.flatMap((proof) => proof.trials);
  return {
    schema,
    at,
    machine: {
      node: process.version,
      os: `${osType()} ${release()}`,
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      cores: cpus().length,
    },
    version: plan.version,
    app: plan.app,
    settings: { url: plan.path, thinkMs: plan.thinkMs, clients: clientsOf(plan, notes.size === 0) },
    proofs,
    notes: [...notes],
    avoidable: rows.reduce((sum, { avoidable }) => sum + avoidable, 0),
    failures: [...proofs, ...rows].filter((one) => one.failure !== undefined).length,
    interrupted: signal.aborted,
  };
}

async function preflight({ path, uploadPath, env, signal }: Plan, { settings }: Contender) {
  const server = await Server.start(settings, env, signal);
  try {
    return { size: server.size, target: await check(server.port, path, uploadPath) };
  } finally {
    await server.stop();
  }
}

/** @returns undefined when it was stopped */
async function run(trial: Trial, contender: Contender, target: Target, plan: Plan): Promise<Row | undefined> {
  const { facts, settings: given } = contender;
  const { counts, signal, clients, thinkMs } = plan;
  const excuse = trial.excuse?.({ facts, counts });
  if (excuse) return leftOut(trial.name, excuse);
  const rate = (clients * 1000) / (thinkMs + answerMs);
  const secret = randomBytes(16).toString('hex');
  let server: Server | undefined;
  let crowd: Crowd | undefined;
  try {
    const settings = { ...given, ...trial.settings?.({ given, rate }) };
    server = await Server.start(settings, { ...plan.env, [secretVariable]: secret }, signal);
    const job = jobOf(server, plan, contender, target);
    crowd = await Crowd.begin(job, signal);
    const pause = async (ms: number): Promise<void> => void (await sleep(ms, undefined, { signal }));
    const names = plan.models.filter((name) => name !== facts.name);
    const { gracefulMs } = contender.limits;
    const stage: Stage = { server, crowd, facts, others: names, counts, given, rate, job, secret, gracefulMs, pause };
    return await watch(trial, stage, signal);
  } catch (error) {
    if (signal.aborted) return undefined;
    return failed(trial.name, (error as Error).message);
  } finally {
    crowd?.end();
    await server?.stop();
  }
}

/** Looks on while nothing happens, and then while it does. */
async function watch(trial: Trial, stage: Stage, signal: AbortSignal): Promise<Row> {
  const { crowd, pause } = stage;
  await pause(warmMs);
  const warm = await crowd.count();
  await pause(calmMs);
  const calm = await crowd.count();
  let done: Done = { times: 0 };
  let failure: string | undefined;
  try {
    done = await unless(signal, trial.run(stage));
  } catch (error) {
    signal.throwIfAborted();
    failure = (error as Error).message;
  }
  const tried = await unless(signal, crowd.finish());
  return { ...rowOf(trial.name, done, warm, calm, tried), ...(failure && { failure }) };
}

/** `promise`, or a rejection as soon as `signal` is aborted. */
async function unless<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  const over = new AbortController();
  const stopped = new Promise<never>((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason), { once: true, signal: over.signal }),
  );
  try {
    return await Promise.race([promise, stopped]);
  } finally {
    over.abort();
  }
}

function rowOf(trial: string, { times, broken = 0 }: Done, warm: Count, calm: Count, tried: Count): Row {
  const counts = [warm, calm, tried];
  const losses = counts.flatMap((count) => count.losses);
  const answered = counts.reduce((sum, count) => sum + count.answered, 0);
  const reconnects = counts.flatMap((count) => count.reconnects);
  const all = losses.length + reconnects.length;
  const unavoidable = Math.min(all, broken);
  return {
    trial,
    times,
    requests: answered + losses.length,
    answered,
    lost: losses.length,
    reconnects: reconnects.length,
    pauses: pausesOf(calm.pauses, tried.pauses),
    unavoidable,
    avoidable: all - unavoidable,
    reasons: reasonsOf([...losses, ...reconnects]),
  };
}

function jobOf({ port, control }: Server, plan: Plan, { limits }: Contender, { status, upload }: Target): Job {
  const { path, thinkMs } = plan;
  const third = (limit: number) => (limit === 0 ? Number.POSITIVE_INFINITY : limit / 3);
  return {
    host: '127.0.0.1',
    port,
    control,
    path,
    status,
    ...(typeof upload === 'object' && { upload }),
    clients: clientsOf(plan, typeof upload === 'object'),
    thinkMs,
    headMs: Math.min(headMs, third(limits.headerMs), third(limits.requestMs)),
    bodyMs: Math.min(bodyMs, third(limits.requestMs)),
  };
}

function clientsOf({ clients }: Plan, hasUpload: boolean): Readonly<Record<Habit, number>> {
  return { 'kept-alive': clients, ...others, ...(hasUpload ? {} : { 'slow body': 0 }) };
}
