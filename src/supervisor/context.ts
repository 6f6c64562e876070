// Makes what a strategy needs from the configuration, at the start and at each reload.
import { realpathSync } from 'node:fs';
import { divide } from '../balance/divide.js';
import { directoryOf, releaseOf } from '../config/app-path.js';
import {
  type CacheSettings,
  type Config,
  isElastic,
  type Limits,
  loopsWithConnections,
  readyTimeout,
} from '../config/config.js';
import { findOwner } from '../config/user.js';
import { Acceptor } from '../connection/acceptor.js';
import { proxyHeaders } from '../connection/proxy-headers.js';
import { SessionReader } from '../connection/session-reader.js';
import { ExitCode, StartupError } from '../errors.js';
import type { WorkerEvent } from '../events.js';
import { madeCodings } from '../http/coding-name.js';
import { duplicateForAcceptor } from '../migration/channel.js';
import { models } from '../strategies/models.js';
import type { ServerParts } from '../strategies/server-strategy.js';
import type { Hosting, HostListener } from '../strategies/strategy.js';
import type { ProcessOptions } from '../worker/fork.js';
import { startProcess } from '../worker/process-runtime.js';
import type { ForwardedRoute, ListeningSockets } from '../worker/settings.js';
import { DiedYoung } from '../worker/start-up.js';
import { Worker, type WorkerListener } from '../worker/worker.js';
import type { Settings } from './changes.js';
import type { ServerResources } from './resources.js';

/** Those of its leash, channel, journal and connection; while it starts, more for a moment. */
const descriptorsOfProcess = 5;

export interface StrategyContext extends ServerParts {
  readonly owner: ProcessOptions['owner'];
  readonly release: Release;
}

/** What some workers have to do, where not all do the same. */
type Role =
  /** They have the connections, and give each request to the workers of its route. */
  | { readonly forwards: readonly ForwardedRoute[] }
  /** They have the requests of this route. */
  | { readonly route: string };

/** Paths with symbolic links resolved, so that a worker that is replaced later loads the same. */
interface Release {
  readonly app: string | undefined;
  /** The directory in which the app runs; undefined if it is that of the supervisor. */
  readonly cwd: string | undefined;
}

/** @param release default: resolved now. @throws StartupError */
export function strategyContext(
  settings: Settings,
  resources: ServerResources,
  release = resolveRelease(settings.config),
): StrategyContext {
  const owner = findOwner(settings.config.processes, settings.sources);
  const routes = settings.routes.map(({ match, ...ofRoute }) => {
    const own = { ...settings, ...ofRoute };
    return { match, ...partOf(own, resources.routes.get(match), release, owner, { route: match }) };
  });
  const forwards = settings.routes.map(({ match }) => ({ match, path: resources.routes.get(match).path }));
  const role = forwards.length > 0 ? { forwards } : undefined;
  return { ...partOf(settings, resources, release, owner, role), routes, owner, release };
}

/** @param role undefined where all workers do the same */
function partOf(
  settings: Settings,
  resources: Omit<ServerResources, 'routes'>,
  release: Release,
  owner: ProcessOptions['owner'],
  role: Role | undefined,
): Pick<StrategyContext, 'group' | 'hosting'> {
  const { config } = settings;
  const { loading, pool, placing, scaling, recycle, listening, lifecycle, processes } = config;
  const { listeners, reports, events } = resources;
  const { sticky } = config.sessions;
  const model = models[pool.model];
  if (!model) throw new StartupError(ExitCode.config, `unknown model '${pool.model}'`);
  const { processes: group, threads } = model.placement(pool.accept, pool.unit);
  const migrationChannel = lifecycle.migrate ? resources.migrationChannel : undefined;
  /** With queues, those of its event loops; otherwise each has them all, with those that are left from another mode. */
  const listenOf = (id: number): readonly ListeningSockets[] => {
    if (group.hostAccepts) return [];
    if (!group.hasQueues) return [listeners.flatMap(({ queues }) => queues)];
    const each = threads ? pool.maxThreads : 1;
    return Array.from({ length: each }, (_, i) => listeners.map((one) => one.queue((id - 1) * each + i)));
  };
  const accepts = group.hostAccepts ? listeners.flatMap(({ queues }) => queues) : [];
  const route = role && 'route' in role ? role.route : undefined;
  const app = appSettings(settings, resources.addresses, release, role);
  const options: ProcessOptions = {
    app,
    processes,
    cwd: release.cwd,
    env: settings.env,
    once: group.isPerConnection,
    threads: threads && {
      ...threads,
      count: pool.threads,
      range: { ...scaling, min: pool.minThreads, max: pool.maxThreads },
      recycle: { ...recycle, maxMemory: 0 }, // threads share the memory of their process
      placing,
      spares: pool.spares,
      tasksPerThread: pool.tasksPerThread,
      retriesSafe: pool.retrySafe,
    },
    captureOutput: config.logging.captureOutput,
    isDaemon: config.server.daemon,
    owner,
    listen: listenOf,
    sharesSockets: !group.hasQueues,
    accessLog: resources.accessLog,
    quarantine: resources.quarantine,
    keepsRecord: lifecycle.quarantineAfter > 0,
    migrationChannel,
    memory: resources.memory.descriptorFor(config),
    cacheMemory: app.cache && resources.cacheMemory.for(config),
    slots: needsSlots(config) || threads?.takesRequests ? resources.slots : undefined,
    reports,
    events,
  };
  const isThreadPool = threads && !threads.isPerConnection;
  // Workers beyond the configured number, added by an operator, get the limit of the last one.
  const connectionLimits = group.isPerConnection ? [1] : divide(listening.maxConnections, pool.maxWorkers);
  const listener = workerListener(resources, owner, route);
  const hosting: Hosting = {
    startWorker: (start) => {
      const maxConnections = connectionLimits[Math.min(start.id, connectionLimits.length) - 1] ?? 1;
      return new Worker({
        ...start,
        unit: startProcess(options, start, maxConnections),
        bootMs: readyTimeout(loading),
        isMeasured: options.app.measure !== undefined,
        accepts: listenOf(start.id).flat(),
        maxConnections,
        listener,
        route,
      });
    },
    workers: pool.workers,
    range: pool.minWorkers < pool.maxWorkers ? { ...scaling, min: pool.minWorkers, max: pool.maxWorkers } : undefined,
    // A thread pool recycles its threads, so the process keeps only the memory limit.
    recycle: isThreadPool ? { ...recycle, maxRequests: 0, maxAge: 0 } : recycle,
    placing,
    secondary: loading.secondary,
    spares: pool.spares,
    probationMs: lifecycle.probation,
    limitsStarts: true,
    drainMs: lifecycle.gracefulTimeout,
    awaitsExits: threads?.isPerConnection ?? false,
    endsWithHost: false,
    revokes: false,
    sessions: group.hostAccepts ? sticky : undefined,
    queues: resources.queues,
    accepts,
    maxConnections: listening.maxConnections,
    accept: (handlers) => {
      const received = group.hostAccepts ? migrationChannel : undefined;
      const { listen: fds, migrationChannel: channel } = duplicateForAcceptor(accepts, received);
      return new Acceptor({
        ...handlers,
        fds,
        backlog: listening.backlog,
        limit: listening.maxConnections,
        accepted: resources.accepted,
        descriptorsEach: group.isPerConnection ? descriptorsOfProcess : 1,
        onDescriptorsUsedUp: (use) => events.tell({ event: 'descriptors-used-up', ...use }),
        isShared: false,
        handsOver: true,
        migrationChannel: channel,
        proxyHeaders: proxyHeaders(options.app, (count, refused) =>
          events.tell({ event: 'proxy-refused', count, ...refused }),
        ),
        sessions: sticky && new SessionReader(sticky),
        onRefused: (count, { pid: senderPid, uid: senderUid }) =>
          events.tell({ event: 'migration-refused', count, senderPid, senderUid }),
      });
    },
    migrationChannel,
    listener: hostListener(resources, route),
  };
  return { group, hosting };
}

function appSettings(
  { config, sources }: Settings,
  addresses: ServerResources['addresses'],
  release: Release,
  role: Role | undefined,
): ProcessOptions['app'] {
  const {
    loading,
    files,
    lifecycle,
    limits,
    access,
    clients,
    sessions,
    overload,
    cache,
    listening,
    pool,
    scaling,
    server,
  } = config;
  const keys = Object.keys(limits) as (keyof Limits)[];
  const limitsGiven = keys.filter((key) => sources[key].kind !== 'default');
  const made = config.compression.compress.filter((coding) => madeCodings.includes(coding));
  const own = {
    loading: { ...loading, app: release.app },
    files: { ...files, root: directoryOf(release.app) },
    addresses,
    lifecycle,
    backlog: listening.backlog,
    counts: server.admin !== undefined,
    countsAnswers: lifecycle.canary > 0,
    measure: isElastic(pool) ? scaling.scaleOn : undefined,
    limits,
    access,
    clients,
    sessions,
    overload,
    cache: cache.cache > 0 ? cacheShare(config) : undefined,
    compress: made.length > 0 ? made : undefined,
    limitsGiven,
    forwards: undefined,
    isForwarded: false,
  };
  if (!role) return own;
  if ('forwards' in role) return { ...own, ...role };
  return {
    ...own,
    // The processes with the connections end those of this kind, and have limited what comes through them.
    limits: {
      ...limits,
      rateLimit: undefined,
      keepAliveTimeout: 0,
      maxRequestsPerConnection: 0,
    },
    limitsGiven: [
      ...new Set([...limitsGiven, 'keepAliveTimeout', 'maxRequestsPerConnection', 'maxHeaderSize'] as const),
    ],
    countsAnswers: false,
    clients: { ...clients, proxyToApp: true },
    files: undefined,
    cache: undefined,
    compress: undefined,
    isForwarded: true,
  };
}

function needsSlots({ overload, server, cache }: Config): boolean {
  return overload.maxInflight > 0 || server.admin !== undefined || cache.cache > 0;
}

/** Each event loop has a cache of its own, and all of them together the memory of --cache. */
function cacheShare({ cache, pool, listening }: Config): CacheSettings {
  const loops = loopsWithConnections({ ...pool, ...listening }, models[pool.model]?.once);
  return { bytes: Math.floor(cache.cache / loops), rules: cache };
}

/** What every worker finds of the app, and one line says. */
const oncePerRelease = new Set<WorkerEvent['event']>([
  'several-servers',
  'cluster-fork',
  'thread-limits',
  'upgrades-refused',
  'static-unreadable',
]);

function workerListener(
  { reports, events, secondary, counters }: Omit<ServerResources, 'routes'>,
  owner: ProcessOptions['owner'],
  route: string | undefined,
): WorkerListener {
  const told = new Set<string>();
  const where = inRoute(route);
  return {
    tell: (one) => {
      if ('kind' in one) return reports.publish(one);
      if (oncePerRelease.has(one.event) && told.has(one.event)) return;
      told.add(one.event);
      events.tell(one);
    },
    ready: ({ id: worker, pid, generation }) => {
      counters?.started('process');
      reports.publish({ kind: 'worker-started', worker, pid, generation, ...where });
    },
    ended: (_, cause) => counters?.ended('process', cause),
    killed: ({ id: worker, pid }, reason) => events.tell({ event: 'worker-killed', worker, pid, reason, ...where }),
    listen: (worker, id, address) => secondary.listen(worker, id, address, owner),
    unlisten: (worker, id, isClosed) => secondary.unlisten(worker, id, isClosed),
  };
}

/** What a report of a route's worker has besides. */
function inRoute(route: string | undefined): { readonly route?: string } {
  return route === undefined ? {} : { route };
}

function hostListener(
  { reports, events, health, counters }: Omit<ServerResources, 'routes'>,
  route: string | undefined,
): HostListener {
  const where = inRoute(route);
  return {
    died: ({ id: worker, pid }, { reason }, replacedInMs) =>
      reports.publish({ kind: 'worker-died', worker, pid, reason, replacedInMs, ...where }),
    serverClosed: ({ pid }, replacedInMs) => reports.publish({ kind: 'server-closed', pid, tid: 0, replacedInMs }),
    unfit: (id, worker, error, replacedInMs) => {
      if (worker && error instanceof DiedYoung)
        reports.publish({
          kind: 'worker-died',
          worker: id,
          pid: worker.pid,
          reason: error.reason,
          replacedInMs,
          ...where,
        });
      else reports.publish({ kind: 'worker-unfit', worker: id, reason: error.message, ...where });
    },
    recycled: ({ id: worker, pid }, reason) => events.tell({ event: 'worker-recycled', worker, pid, reason, ...where }),
    recycleFailed: ({ id: worker }, reason) => reports.publish({ kind: 'worker-unfit', worker, reason, ...where }),
    scaled: (from, to, reason) => reports.publish({ kind: 'scaled', unit: 'workers', from, to, reason, ...where }),
    scaleFailed: (reason) => reports.publish({ kind: 'operation-failed', action: 'scale', reason, isRolledBack: true }),
    connectionLost: (reason) => {
      counters?.unserved();
      events.tell({ event: 'connection-lost', reason });
    },
    placed: counters && ((policy) => counters.placed(policy)),
    sessionsPlacedAgain: (count) => reports.publish({ kind: 'sessions-placed-again', pid: process.pid, count }),
    changed: health.changed,
  };
}

function resolveRelease({ loading: { app }, processes: { cwd } }: Config): Release {
  return {
    app: app === undefined ? undefined : releaseOf(app, process.cwd()),
    cwd: cwd === undefined ? undefined : realpathSync(cwd),
  };
}
