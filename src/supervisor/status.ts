// What `mpserve ctl status` and `mpserve ctl workers` tell of the server.
import { now } from '../clock.js';
import { type Config, isElastic } from '../config/config.js';
import type { CacheStatus, Restarts, RouteStatus, Status, WorkerStacks, WorkerStatus } from '../control/protocol.js';
import { hasProc, ownCpuSeconds, proportionalMemory, residentMemory } from '../os/process-tree.js';
import type { Look } from '../scoreboard/loop-view.js';
import { models } from '../strategies/models.js';
import type { StrategySnapshot } from '../strategies/strategy.js';
import type { Worker } from '../worker/worker.js';
import type { Settings } from './changes.js';
import type { HealthWatch } from './health.js';

export interface StatusParts {
  readonly state: 'starting' | 'serving' | 'stopping';
  /** On the clock of `clock.ts`. */
  readonly startedAt: number;
  readonly urls: readonly string[];
  readonly config: Config;
  readonly routes: Settings['routes'];
  /** undefined before there is a strategy. */
  readonly snapshot: StrategySnapshot | undefined;
  readonly health: HealthWatch;
  readonly scaled: Status['scaled'];
  /** Sessions that have been placed because their workers had gone, or they were not known. */
  readonly placedAgain: number;
  /** null without --cache. */
  readonly cache: CacheStatus | null;
  readonly operation: Pick<Status, 'doing' | 'last'>;
  /** undefined without --admin. */
  readonly restarts: Restarts | undefined;
}

export function statusOf(parts: StatusParts): Status {
  const { state, health, config, scaled, placedAgain, cache, snapshot } = parts;
  const { loading, pool, placing } = config;
  const { model, threads, minWorkers, maxWorkers, minThreads, maxThreads } = pool;
  const { generation = 1, size: wanted = 0, workers = [], answered: requests = 0 } = snapshot ?? {};
  const { doing, last } = parts.operation;
  const { lastError } = health;
  return {
    state: state !== 'serving' ? state : wanted === 0 ? 'drained' : health.health,
    ...(doing && { doing }),
    pid: process.pid,
    uptimeMs: Math.round(now() - parts.startedAt),
    app: loading.app ?? 'the built-in demo app',
    model,
    ...(pool.unit === 'request' && { unit: pool.unit }),
    ...(pool.unit !== 'request' && models[model]?.balances?.(pool.accept) && { balance: placing.balance }),
    ...(config.sessions.sticky && { sessions: { placedAgain } }),
    ...(cache && { cache }),
    urls: parts.urls,
    generation,
    workers: { wanted, ready: readyOf(workers.filter(({ route }) => route === undefined)) },
    threads,
    ...(parts.routes.length > 0 && { routes: routesOf(parts) }),
    ...(isElastic(pool) && { range: { workers: [minWorkers, maxWorkers], threads: [minThreads, maxThreads] } }),
    ...(scaled && { scaled }),
    ...(lastError && { lastError }),
    requests,
    ...parts.restarts,
    ...(last && { last }),
  };
}

const readyOf = (workers: readonly Worker[]): number => workers.filter(({ stage }) => stage === 'ready').length;

function routesOf({ routes, snapshot }: StatusParts): readonly RouteStatus[] {
  return routes.map(({ match, config: { pool } }) => {
    const found = snapshot?.routes?.find((one) => one.match === match);
    const {
      size: wanted = 0,
      workers = [],
      answered: requests = 0,
      generation = 1,
      health: state = 'down',
    } = found ?? {};
    const { model, unit, threads } = pool;
    return { match, model, unit, state, workers: { wanted, ready: readyOf(workers) }, threads, requests, generation };
  });
}

export async function workerStacks(worker: Worker): Promise<WorkerStacks> {
  const { id, pid, generation, stage } = worker;
  return { worker: id, pid, generation, stage, loops: await worker.stacks() };
}

/** A worker that does not tell what it is doing by then is blocked (milliseconds). */
const lookMs = 800;

/** Never rejects, and settles soon. */
export async function workerStatus(worker: Worker, how: Look): Promise<WorkerStatus> {
  const loops = await worker.look(how, lookMs);
  const { id, pid, generation, stage, answered, placed, active, readyMs, load } = worker;
  return {
    worker: id,
    ...(worker.route !== undefined && { route: worker.route }),
    pid,
    generation,
    stage,
    ...(readyMs !== undefined && { readyMs: Math.round(readyMs) }),
    requests: answered,
    ...(placed > 0 && { placed, connections: active }),
    ...(load !== undefined && { load: Math.round(load * 1000) / 1000 }),
    ...(hasProc && {
      memoryBytes: proportionalMemory(pid),
      cpuSeconds: ownCpuSeconds(pid),
      residentBytes: residentMemory(pid),
    }),
    loops,
  };
}
