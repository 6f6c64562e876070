// The resolved configuration, as the rest of the program reads it: checked, frozen, and in sections, which are passed on as
// a whole. Only `load.ts` creates it.
import type { Accept } from './model.js';
import type { ConfigKey, OptionTable, Settings } from './options.js';

/** What resolving makes of values that depend on the model or on other options. */
interface Resolved {
  /** Number of worker processes, at least 1. 1 in models that do not let the user choose. */
  readonly workers: number;
  /** Number of threads in each worker process, at least 1; 1 in models without threads. */
  readonly threads: number;
  /**
   * Bounds between which the number of workers, and of threads in each worker, scales with the load; equal if it is
   * fixed.
   */
  readonly minWorkers: number;
  readonly maxWorkers: number;
  readonly minThreads: number;
  readonly maxThreads: number;
  /** undefined in models that do not let the user choose. */
  readonly accept: Accept | undefined;
}

/** All values without sections: times in milliseconds, sizes in bytes. For the meaning of each, see its description. */
export type Values = { readonly [K in ConfigKey]: K extends keyof Resolved ? Resolved[K] : Settings[K] };

type Sections = OptionTable[ConfigKey]['section'];

export type Config = {
  readonly [S in Sections]: {
    readonly [K in ConfigKey as OptionTable[K] extends { readonly section: S } ? K : never]: Values[K];
  };
};

/** The limits on one connection and its requests: the part of the configuration that the pipeline reads. */
export type Limits = Config['limits'];

/** What `files` says, and the directory that is the app (an absolute path); undefined if the app is another one. */
export type ServedFiles = Config['files'] & { readonly root: string | undefined };

/** Of the cache, for an event loop. */
export interface CacheSettings {
  /** What it may take: its part of --cache. */
  readonly bytes: number;
  readonly rules: Config['cache'];
}

/** Stores that all workers of a machine have together, in memory that they share. */
const sharedStores: readonly Config['cache']['cacheStore'][] = ['shared'];

export function isCacheShared({ cache, cacheStore }: Config['cache']): boolean {
  return cache > 0 && sharedStores.includes(cacheStore);
}

export type LogLevel = Config['logging']['logLevel'];

export function flatten(config: Config): Values {
  return Object.assign({}, ...Object.values(config));
}

/** Whether the number of workers or of threads scales with the load. */
export function isElastic({ minWorkers, maxWorkers, minThreads, maxThreads }: Config['pool']): boolean {
  return minWorkers < maxWorkers || minThreads < maxThreads;
}

/** How many event loops have connections, each with a cache of its own. @param isPerConnection that of the model */
export function loopsWithConnections(
  {
    unit,
    maxWorkers,
    maxThreads,
    maxConnections,
  }: Pick<Values, 'unit' | 'maxWorkers' | 'maxThreads' | 'maxConnections'>,
  isPerConnection = false,
): number {
  if (isPerConnection) return maxConnections;
  return unit === 'request' ? maxWorkers : maxWorkers * maxThreads;
}

/** The time for a worker to get ready: --boot-timeout limits loading the app, then --wait-ready, then --ready-path. */
export function readyTimeout({ readyPath, waitReady, bootTimeout }: Config['loading']): number {
  return bootTimeout * (1 + Number(waitReady) + Number(readyPath !== undefined));
}
