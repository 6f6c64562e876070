// What a strategy is given by the supervisor, made from the configuration: at the start, and at each reload.

import { divide } from '../balance/divide.js';
import { releaseOf } from '../config/app-path.js';
import { type Config, isElastic, type Limits, rangeOf } from '../config/config.js';
import type { Loaded } from '../config/load.js';
import { findOwner } from '../config/user.js';
import { Acceptor } from '../connection/acceptor.js';
import { ExitCode, StartupError } from '../errors.js';
import { type Events, endOf } from '../events.js';
import type { Quarantine } from '../inflight/quarantine.js';
import { duplicateChannel, type MigrationChannel } from '../migration/channel.js';
import { duplicate } from '../os/descriptor.js';
import { models } from '../strategies/models.js';
import type { Hosting, HostReports } from '../strategies/strategy.js';
import { type ProcessOptions, startProcess } from '../worker/process-runtime.js';
import type { Group } from '../worker/settings.js';
import { DiedYoung, Worker, type WorkerReports } from '../worker/worker.js';
import type { Listener } from './listener.js';

/** What a server has for as long as it lives, and all its strategies with it. */
export interface Premises {
  readonly listeners: readonly Listener[];
  readonly accessLog: ProcessOptions['accessLog'];
  readonly quarantine: Quarantine;
  readonly events: Events;
  /** undefined where connections cannot migrate. */
  readonly migrationChannel: MigrationChannel | undefined;
}

export interface StrategyContext {
  readonly group: Group;
  readonly hosting: Hosting;
  readonly owner: ProcessOptions['owner'];
  /** The app, at the place that its links stood for. */
  readonly release: string | undefined;
}

/** @param release the app, at the place that its links stand for; default: that of now */
export function strategyContext(
  settings: Settings,
  premises: Premises,
  release = releaseNow(settings.config),
): StrategyContext {
  const { config, sources } = settings;
  const { listeners, events } = premises;
  const model = models[config.model];
  if (!model) throw new StartupError(ExitCode.config, `there is no model ${config.model}`);
  const { processes: group, threads } = model.placement(config.accept);
  const migrationChannel = config.migrate ? premises.migrationChannel : undefined;
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
      recycle: { ...recycle, maxMemory: 0 }, // their memory is that of their process
      maxHeap: config.maxThreadHeap,
      spares: config.spares,
    },
    nodeArg: config.nodeArg,
    captureOutput: config.captureOutput,
    isDaemon: config.daemon,
    owner,
    listen: group.hostAccepts ? [] : listen,
    accessLog: premises.accessLog,
    quarantine: premises.quarantine,
    keepsRecord: config.quarantineAfter > 0,
    migrationChannel,
    events,
  };
  const isPool = threads && !threads.isPerConnection;
  // Workers beyond what is configured, by an operator, have as much as the last.
  const shares = group.isPerConnection ? [1] : divide(config.maxConnections, config.maxWorkers);
  const reports = workerReports(events);
  const hosting: Hosting = {
    startWorker: (start) =>
      new Worker({
        ...start,
        unit: startProcess(options, start, shares[Math.min(start.id, shares.length) - 1] ?? 1),
        // To load, and then to be ready.
        bootMs: config.readyPath === undefined ? bootTimeout : 2 * bootTimeout,
        isMeasured: options.app.measure !== undefined,
        reports,
      }),
    workers: config.workers,
    range: config.minWorkers < config.maxWorkers ? rangeOf(config, config.minWorkers, config.maxWorkers) : undefined,
    // Threads of a pool are recycled one by one.
    recycle: isPool ? { ...recycle, maxRequests: 0, maxAge: 0 } : recycle,
    spares: config.spares,
    limitsStarts: true,
    drainMs: config.gracefulTimeout,
    awaitsExits: threads?.isPerConnection ?? false,
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
    reports: hostReports(events),
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

function workerReports(events: Events): WorkerReports {
  return {
    ready: ({ id: worker, pid, generation }) => events.tell({ event: 'worker-started', worker, pid, generation }),
    killed: ({ id: worker, pid }, reason) => events.tell({ event: 'worker-killed', worker, pid, reason }),
    migrating: () => {},
    event: (event) => events.tell(event),
    lost: ({ pid }, requests, isWanted) => {
      for (const request of requests) events.tell({ pid, ...endOf(request, isWanted) });
    },
  };
}

function hostReports(events: Events): HostReports {
  return {
    died: ({ id: worker, pid }, { reason }, replacedInMs) =>
      events.tell({ event: 'worker-died', worker, pid, reason, replacedInMs }),
    unfit: (id, worker, error, replacedInMs) => {
      if (worker && error instanceof DiedYoung)
        events.tell({ event: 'worker-died', worker: id, pid: worker.pid, reason: error.reason, replacedInMs });
      else events.tell({ event: 'worker-unfit', worker: id, reason: error.message });
    },
    recycled: ({ id: worker, pid }, reason) => events.tell({ event: 'worker-recycled', worker, pid, reason }),
    recycleFailed: ({ id: worker }, reason) => events.tell({ event: 'worker-unfit', worker, reason }),
    scaled: (from, to, reason) => events.tell({ event: 'scaled', unit: 'workers', from, to, reason }),
    scaleFailed: (reason) => events.tell({ event: 'operation-failed', action: 'scale', reason }),
    connectionLost: (reason) => events.tell({ event: 'connection-lost', reason }),
  };
}

export function releaseNow({ app }: Config): string | undefined {
  return app === undefined ? undefined : releaseOf(app, process.cwd());
}

/** Settings that are for the whole life of a server; a reload cannot change them. */
const forLife = [
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

/** What comes out of the model. */
const byModel = [
  'workers',
  'threads',
  'minWorkers',
  'maxWorkers',
  'minThreads',
  'maxThreads',
  'hangTimeout',
  'spares',
] as const satisfies readonly (keyof Config)[];

/** `next`, but with what is for life as in `current`; and the keys of those that would have changed. */
export function reloaded(
  current: Settings,
  next: Settings,
): Settings & { readonly refused: readonly (keyof Config)[] } {
  const kept = current.config.model === next.config.model ? forLife : [...forLife, ...byModel];
  const of = <T extends object>(from: T) => Object.fromEntries(kept.map((key) => [key, from[key as keyof T]]));
  const refused = forLife.filter((key) => JSON.stringify(current.config[key]) !== JSON.stringify(next.config[key]));
  return {
    config: { ...next.config, ...of(current.config) },
    sources: { ...next.sources, ...of(current.sources) },
    refused,
  };
}

type Settings = Pick<Loaded, 'config' | 'sources'>;

/** What an operator can change with another model, or without. */
export const switchable = [
  'model',
  'accept',
  ...byModel.filter((key) => key !== 'hangTimeout'),
  'maxConnections',
  'spareMin',
  'spareMax',
  'scaleOn',
  'idleTimeout',
] as const satisfies readonly (keyof Config)[];

/** `current`, but with the model and what goes with it as in `next`. */
export function switched(current: Settings, next: Settings): Settings {
  const keys = [...switchable, ...byModel];
  const of = <T extends object>(from: T) => Object.fromEntries(keys.map((key) => [key, from[key as keyof T]]));
  return {
    config: { ...current.config, ...of(next.config) },
    sources: { ...current.sources, ...of(next.sources) },
  };
}
