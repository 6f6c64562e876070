// The store of --cache-store, with its memory. What only one of them needs is loaded only for that.
import { MemoryStore, type MemoryStoreOptions } from '../cache/memory-store.js';
import type { CacheStore, Flights } from '../cache/store.js';
import type { CacheSettings } from '../config/config.js';
import { isRedisUrl } from '../config/redis-url.js';
import type { WorkerEvent } from '../events.js';
import type { Part } from '../memory/parts.js';
import type { Counters } from '../metrics/counters.js';
import { cacheStoreCounters } from '../metrics/layout.js';

/** Of the memory of the cache: for bodies on their way into it, and the largest of them. */
const recordedFraction = 1 / 8;
const bodyFraction = 1 / 16;

/** With a store that all event loops share: of --cache, the largest body; of the part of an event loop, the others. */
const sharedBodyFraction = 1 / 32;
const sharedRecordedFraction = 1 / 16;
const copiesFraction = 1 / 8;
const maxCopyBytes = 16 * 1024 ** 2;

/** With a store elsewhere, all of it is for bodies on their way: here, and then there. */
const elsewhereRecordedFraction = 1 / 2;

export interface StorageOptions {
  readonly settings: CacheSettings;
  /** Of the memory that all event loops share. */
  readonly memory: { readonly hashKey: Part; readonly storeState: Part; readonly purgeLog: Part };
  /** With a store that all event loops share. */
  readonly shared: SharedArrayBuffer | undefined;
  readonly common: Omit<MemoryStoreOptions, 'maxBytes'>;
  readonly counters: Counters;
  readonly onStored: () => void;
  readonly tell: (event: WorkerEvent) => void;
  /** While the worker warms up, it asks no store elsewhere. */
  readonly isWarmUp: boolean;
}

export interface Storage {
  readonly store: CacheStore;
  /** Those of all event loops together; undefined if each has its own. */
  readonly flights?: Flights;
  readonly maxBodyBytes: number;
  readonly maxRecordedBytes: number;
  /** Called when a response is given to the store. */
  readonly onStored: () => void;
}

export function openStorage(options: StorageOptions): Storage | Promise<Storage> {
  const { settings, shared, isWarmUp } = options;
  if (shared) return sharedStorage(options, shared);
  return isRedisUrl(settings.rules.cacheStore) && !isWarmUp ? redisStorage(options) : ownStorage(options);
}

function ownStorage({ settings: { bytes }, common, onStored }: StorageOptions): Storage {
  const maxRecordedBytes = Math.floor(bytes * recordedFraction);
  return {
    store: new MemoryStore({ ...common, maxBytes: bytes - maxRecordedBytes }),
    maxBodyBytes: Math.floor(bytes * bodyFraction),
    maxRecordedBytes,
    onStored,
  };
}

async function sharedStorage(
  { settings: { bytes, rules }, memory: { hashKey }, common, onStored }: StorageOptions,
  memory: SharedArrayBuffer,
): Promise<Storage> {
  const { KeyHasher, SharedFlights, SharedStore } = await import('../cache/shared.js');
  const hasher = new KeyHasher(new Int32Array(hashKey.memory, hashKey.start, 4));
  const maxBodyBytes = Math.floor(rules.cache * sharedBodyFraction);
  return {
    store: new SharedStore({
      ...common,
      memory,
      hasher,
      maxCopyBytes: Math.max(1, Math.min(maxCopyBytes, Math.floor(bytes * copiesFraction))),
    }),
    flights: new SharedFlights({ memory, hasher, now: common.now }),
    maxBodyBytes,
    // An event loop can always record one of the largest.
    maxRecordedBytes: Math.max(maxBodyBytes, Math.floor(bytes * sharedRecordedFraction)),
    onStored,
  };
}

async function redisStorage({ settings, memory, common, counters, onStored, tell }: StorageOptions): Promise<Storage> {
  const { createRedisStore } = await import('../cache/redis/create.js');
  const { bytes, rules } = settings;
  const maxRecordedBytes = Math.floor(bytes * elsewhereRecordedFraction);
  const store = createRedisStore({
    url: rules.cacheStore,
    maxBytes: bytes - maxRecordedBytes,
    purges: common.purges,
    purgeLog: memory.purgeLog,
    state: memory.storeState,
    now: common.now,
    onStored,
    onFailure: (kind) => counters.add('cacheStore', 1, cacheStoreCounters.indexOf(kind)),
    onOutage: (store, part, reason) => {
      if (part === 'all') counters.add('cacheStore', 1, cacheStoreCounters.indexOf('down'));
      tell({ event: 'cache-store-down', store, part, reason });
    },
    onRecovery: (store, part, ms) => {
      if (part === 'all') counters.add('cacheStore', 1, cacheStoreCounters.indexOf('up'));
      tell({ event: 'cache-store-up', store, part, ms });
    },
  });
  // It may not take a response, and tells when it has.
  return { store, maxBodyBytes: Math.floor(bytes * bodyFraction), maxRecordedBytes, onStored: () => {} };
}
