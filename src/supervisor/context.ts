// Makes what a strategy needs from the configuration, at the start and at each reload, and decides which settings a
// reload or a model switch changes.

import { divide } from '../balance/divide.js';
import { releaseOf } from '../config/app-path.js';
import { type Config, isElastic, type Limits, rangeOf } from '../config/config.js';
import type { Loaded } from '../config/load.js';
import { findOwner } from '../config/user.js';
import { Acceptor } from '../connection/acceptor.js';
import { ExitCode, StartupError } from '../errors.js';
import type { Events } from '../events.js';
import type { Quarantine } from '../inflight/quarantine.js';
import { duplicateChannel, type MigrationChannel } from '../migration/channel.js';
import { duplicate } from '../os/descriptor.js';
import type { Reports } from '../reports/reports.js';
import { models } from '../strategies/models.js';
import type { Hosting, HostListener } from '../strategies/strategy.js';
import { type ProcessOptions, startProcess } from '../worker/process-runtime.js';
import type { Group } from '../worker/settings.js';
import { DiedYoung, Worker, type WorkerListener } from '../worker/worker.js';
import type { Listener } from './listener.js';

/** Resources that the server has from start to exit; all its strategies use the same. */
export interface ServerResources {
  readonly listeners: readonly Listener[];
  readonly accessLog: ProcessOptions['accessLog'];
  readonly quarantine: Quarantine;
  readonly reports: Reports;
  readonly events: Events;
  /** undefined if connections cannot migrate. */
  readonly migrationChannel: MigrationChannel | undefined;
}

export interface StrategyContext {
  readonly group: Group;
  readonly hosting: Hosting;
  readonly owner: ProcessOptions['owner'];
  /** The path of the app, with symbolic links resolved. */
  readonly release: string | undefined;
}

/** @param release the path of the app, with symbolic links resolved; default: resolved now. @throws StartupError */
export function strategyContext(
  settings: Settings,
  resources: ServerResources,
  release = resolveRelease(settings.config),
): StrategyContext {
  const { config, sources } = settings;
  const { listeners, reports, events } = resources;
  const model = models[config.model];
  if (!model) throw new StartupError(ExitCode.config, `unknown model '${config.model}'`);
  const { processes: group, threads } = model.placement(config.accept);
  const migrationChannel = config.migrate ? resources.migrationChannel : undefined;
  const listen = listeners.map(({ fd }) => fd);
  const { maxRequests, maxRequestsJitter, maxMemory, maxAge, bootTimeout } = config;
  const recycle = { maxRequests, maxRequestsJitter, maxMemory, maxAge };
  const owner = findOwner({ name: config.user, source: sources.user }, { name: config.group, source: sources.group });
  const options: ProcessOptions = {
    app: appSettings(settings, listeners, release),
    umask: config.umask,
    once: group.isPerConnection,
    threads: threads && {
      ...threads,
      count: config.threads,
      range: rangeOf(config, config.minThreads, config.maxThreads),
      recycle: { ...recycle, maxMemory: 0 }, // threads share the memory of their process
      maxHeap: config.maxThreadHeap,
      spares: config.spares,
    },
    nodeArg: config.nodeArg,
    captureOutput: config.captureOutput,
    isDaemon: config.daemon,
    owner,
    listen: group.hostAccepts ? [] : listen,
    accessLog: resources.accessLog,
    quarantine: resources.quarantine,
    keepsRecord: config.quarantineAfter > 0,
    migrationChannel,
    reports,
    events,
  };
  const isThreadPool = threads && !threads.isPerConnection;
  // Workers beyond the configured number, added by an operator, get the limit of the last one.
  const connectionLimits = group.isPerConnection ? [1] : divide(config.maxConnections, config.maxWorkers);
  const hosting: Hosting = {
    startWorker: (start) =>
      new Worker({
        ...start,
        unit: startProcess(options, start, connectionLimits[Math.min(start.id, connectionLimits.length) - 1] ?? 1),
        // --boot-timeout limits loading the app, and then again waiting for --ready-path.
        bootMs: config.readyPath === undefined ? bootTimeout : 2 * bootTimeout,
        isMeasured: options.app.measure !== undefined,
        listener: workerListener(resources),
      }),
    workers: config.workers,
    range: config.minWorkers < config.maxWorkers ? rangeOf(config, config.minWorkers, config.maxWorkers) : undefined,
    // A thread pool recycles its threads, so the process keeps only the memory limit.
    recycle: isThreadPool ? { ...recycle, maxRequests: 0, maxAge: 0 } : recycle,
    spares: config.spares,
    limitsStarts: true,
    drainMs: config.gracefulTimeout,
    awaitsExits: threads?.isPerConnection ?? false,
    endsWithHost: false,
    revokes: false,
    accept: group.hostAccepts
      ? (handlers) =>
          new Acceptor({
            ...handlers,
            fds: listen.map(duplicate),
            backlog: config.backlog,
            limit: config.maxConnections,
            isShared: false,
            handsOver: true,
            migrationChannel: duplicateChannel(migrationChannel),
            onRefused: (count, { pid: senderPid, uid: senderUid }) =>
              events.tell({ event: 'migration-refused', count, senderPid, senderUid }),
          })
      : undefined,
    migrationChannel,
    listener: hostListener(resources),
  };
  return { group, hosting, owner, release };
}

function appSettings({ config, sources }: Settings, listeners: readonly Listener[], release: string | undefined) {
  const { demoFaults, bootTimeout, readyPath, hangTimeout, backlog, gracefulTimeout } = config;
  const { headerTimeout, requestTimeout, keepAliveTimeout } = config;
  const { maxHeaderSize, maxBodySize, maxRequestsPerConnection, requestDeadline, drainQuiet } = config;
  const limits: Limits = {
    headerTimeout,
    requestTimeout,
    keepAliveTimeout,
    maxHeaderSize,
    maxBodySize,
    maxRequestsPerConnection,
    requestDeadline,
    drainQuiet,
  };
  const keys = Object.keys(limits) as (keyof Limits)[];
  return {
    app: release,
    addresses: listeners.map(({ address }) => address),
    demoFaults,
    bootTimeout,
    readyPath,
    hangTimeout,
    backlog,
    gracefulTimeout,
    countsAnswers: config.canary > 0,
    measure: isElastic(config) ? config.scaleOn : undefined,
    limits,
    limitsGiven: keys.filter((key) => sources[key].kind !== 'default'),
  };
}

function workerListener({ reports, events }: ServerResources): WorkerListener {
  return {
    tell: (told) => ('kind' in told ? reports.publish(told) : events.tell(told)),
    ready: ({ id: worker, pid, generation }) => reports.publish({ kind: 'worker-started', worker, pid, generation }),
    killed: ({ id: worker, pid }, reason) => events.tell({ event: 'worker-killed', worker, pid, reason }),
  };
}

function hostListener({ reports, events }: ServerResources): HostListener {
  return {
    died: ({ id: worker, pid }, { reason }, replacedInMs) =>
      reports.publish({ kind: 'worker-died', worker, pid, reason, replacedInMs }),
    unfit: (id, worker, error, replacedInMs) => {
      if (worker && error instanceof DiedYoung)
        reports.publish({ kind: 'worker-died', worker: id, pid: worker.pid, reason: error.reason, replacedInMs });
      else events.tell({ event: 'worker-unfit', worker: id, reason: error.message });
    },
    recycled: ({ id: worker, pid }, reason) => events.tell({ event: 'worker-recycled', worker, pid, reason }),
    recycleFailed: ({ id: worker }, reason) => events.tell({ event: 'worker-unfit', worker, reason }),
    scaled: (from, to, reason) => reports.publish({ kind: 'scaled', unit: 'workers', from, to, reason }),
    scaleFailed: (reason) => reports.publish({ kind: 'operation-failed', action: 'scale', reason }),
    connectionLost: (reason) => events.tell({ event: 'connection-lost', reason }),
  };
}

/** The path of the app, with symbolic links resolved. */
function resolveRelease({ app }: Config): string | undefined {
  return app === undefined ? undefined : releaseOf(app, process.cwd());
}

/** Settings that a reload cannot change. */
const restartSettings = [
  'model',
  'accept',
  'bind',
  'backlog',
  'maxConnections',
  'logFile',
  'logLevel',
  'logFormat',
  'accessLog',
  'captureOutput',
  'socketMode',
  'daemon',
  'pidFile',
  'control',
] as const satisfies readonly (keyof Config)[];

/** Settings whose defaults depend on the model. */
const modelSettings = [
  'workers',
  'threads',
  'minWorkers',
  'maxWorkers',
  'minThreads',
  'maxThreads',
  'hangTimeout',
  'spares',
] as const satisfies readonly (keyof Config)[];

/**
 * @returns `next`, with the restart settings of `current`, and `ignored`: the restart settings that differ in `next`
 */
export function applyReload(
  current: Settings,
  next: Settings,
): Settings & { readonly ignored: readonly (keyof Config)[] } {
  const kept = current.config.model === next.config.model ? restartSettings : [...restartSettings, ...modelSettings];
  const pick = <T extends object>(from: T) => Object.fromEntries(kept.map((key) => [key, from[key as keyof T]]));
  const ignored = restartSettings.filter(
    (key) => JSON.stringify(current.config[key]) !== JSON.stringify(next.config[key]),
  );
  return {
    config: { ...next.config, ...pick(current.config) },
    sources: { ...next.sources, ...pick(current.sources) },
    ignored,
  };
}

type Settings = Pick<Loaded, 'config' | 'sources'>;

/** Settings that `mpserve ctl switch` can change. */
export const switchSettings = [
  'model',
  'accept',
  ...modelSettings.filter((key) => key !== 'hangTimeout'),
  'maxConnections',
  'spareMin',
  'spareMax',
  'scaleOn',
  'idleTimeout',
] as const satisfies readonly (keyof Config)[];

/** @returns `current`, with the switch settings of `next` */
export function applySwitch(current: Settings, next: Settings): Settings {
  const keys = [...switchSettings, ...modelSettings];
  const pick = <T extends object>(from: T) => Object.fromEntries(keys.map((key) => [key, from[key as keyof T]]));
  return {
    config: { ...current.config, ...pick(next.config) },
    sources: { ...current.sources, ...pick(next.sources) },
  };
}
