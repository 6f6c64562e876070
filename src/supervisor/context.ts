// What the strategy is told, made from the configuration: at the start, and at each reload.
import { releaseOf } from '../config/app-path.js';
import { type Config, isElastic, type Limits, rangeOf } from '../config/config.js';
import type { Loaded } from '../config/load.js';
import { findOwner } from '../config/user.js';
import type { Events } from '../events.js';
import type { Quarantine } from '../flight/quarantine.js';
import type { MigrationChannel } from '../migration/channel.js';
import type { StrategyContext } from '../strategies/strategy.js';
import type { SpawnOptions } from '../worker/process-runtime.js';
import type { Listener } from './listener.js';

/** What a server has for as long as it lives, and all its strategies with it. */
export interface Premises {
  readonly listeners: readonly Listener[];
  readonly accessLog: SpawnOptions['accessLog'];
  readonly quarantine: Quarantine;
  readonly events: Events;
  /** undefined where connections cannot be carried over. */
  readonly migrationChannel: MigrationChannel | undefined;
}

/** @param release the app, at the place that its links stand for; default: that of now */
export function strategyContext(
  { config, sources }: Settings,
  { listeners, accessLog, quarantine, events, migrationChannel }: Premises,
  release = releaseNow(config),
): StrategyContext {
  const { demoFaults, bootTimeout, readyPath, hangTimeout, threads, backlog } = config;
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
  const listen = listeners.map(({ fd }) => fd);
  const spawn: SpawnOptions = {
    settings: {
      app: release,
      addresses: listeners.map(({ address }) => address),
      demoFaults,
      umask: config.umask,
      bootTimeout,
      readyPath,
      hangTimeout,
      backlog,
      threads,
      threadRange: rangeOf(config, config.minThreads, config.maxThreads),
      countsAnswers: config.canary > 0,
      measure: isElastic(config) ? config.scaleOn : undefined,
      threadWear: {
        maxRequests: config.maxRequests,
        maxRequestsJitter: config.maxRequestsJitter,
        maxMemory: 0, // they have that of their process
        maxAge: config.maxAge,
      },
      gracefulTimeout: config.gracefulTimeout,
      maxThreadHeap: config.maxThreadHeap,
      spares: config.spares,
      executor: 'inline',
      threadAccept: 'dispatch',
      once: false,
      isRehearsed: false,
      limits,
      limitsGiven: keys.filter((key) => sources[key].kind !== 'default'),
    },
    nodeArg: config.nodeArg,
    captureOutput: config.captureOutput,
    isDaemon: config.daemon,
    owner: findOwner({ name: config.user, source: sources.user }, { name: config.group, source: sources.group }),
    listen,
    accessLog,
    quarantine,
    keepsRecord: config.quarantineAfter > 0,
    migrationChannel: config.migrate ? migrationChannel : undefined,
    events,
  };
  return { config, events, listen, spawn, generation: 1 };
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
