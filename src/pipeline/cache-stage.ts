// Makes the stage of --cache, with its store. Loaded only if it is on.
import type { Socket } from 'node:net';
import { MarkedKeys } from '../cache/marked-keys.js';
import { MemoryStore } from '../cache/memory-store.js';
import { Purges } from '../cache/purges.js';
import type { CacheStore } from '../cache/store.js';
import type { Client } from '../client/proxy-header.js';
import type { CacheSettings, Config } from '../config/config.js';
import { isRedisUrl } from '../config/redis-url.js';
import type { WorkerEvent } from '../events.js';
import type { Part } from '../memory/parts.js';
import { Counters } from '../metrics/counters.js';
import { cacheCounters, cacheOutcomes, cacheStoreCounters } from '../metrics/layout.js';
import type { LoopSlot } from '../overload/layout.js';
import { SlotTable } from '../overload/slots.js';
import { ResponseCache } from './cache.js';
import { Refresher } from './cache-refresh.js';
import type { refuse } from './failures.js';

/** Of the memory of the cache: for bodies on their way into it, and the largest of them. */
const recordedFraction = 1 / 8;
const bodyFraction = 1 / 16;

const unitBytes = 1024;

export interface CacheStageOptions {
  readonly settings: CacheSettings;
  readonly healthPath: Config['overload']['healthPath'];
  /** Of the memory that all event loops share. */
  readonly memory: {
    readonly counters: Part;
    readonly places: Part;
    readonly purges: Part;
    readonly storeState: Part;
    readonly purgeLog: Part;
  };
  /** Of this event loop; undefined while it warms up. */
  readonly slot: LoopSlot | undefined;
  readonly tell: (event: WorkerEvent) => void;
  readonly connect: (client: Client | undefined) => Socket;
  /** These are passed, as importing them would be one more file. */
  readonly refuse: typeof refuse;
  readonly now: () => number;
  readonly idHeader: string;
}

export async function createCache(options: CacheStageOptions): Promise<ResponseCache> {
  const { settings, healthPath, memory, slot, connect, refuse, now, idHeader } = options;
  const counters = new Counters(memory.counters, slot);
  const table = slot === undefined ? undefined : new SlotTable(memory.places);
  if (slot !== undefined) table?.use(slot.index);
  const { bytes, rules } = settings;
  // Elsewhere it is all for bodies on their way, here and then there.
  const isElsewhere = isRedisUrl(rules.cacheStore) && slot !== undefined;
  const maxRecordedBytes = Math.floor(bytes * (isElsewhere ? 1 / 2 : recordedFraction));
  const store = isElsewhere
    ? await redisStore(options, counters, bytes - maxRecordedBytes)
    : new MemoryStore({
        maxBytes: bytes - maxRecordedBytes,
        purges: new Purges(memory.purges),
        now,
        onEvicted: (count) => counters.add('cache', count, cacheCounters.indexOf('evicted')),
        onBytes: (used) => {
          if (table && slot !== undefined)
            Atomics.store(table.words, table.at(slot.index, 'cacheUnits'), Math.ceil(used / unitBytes));
        },
      });
  return new ResponseCache({
    parts: {
      store,
      rules,
      maxBodyBytes: Math.floor(bytes * bodyFraction),
      maxRecordedBytes,
      unstored: new MarkedKeys(),
      unshared: new MarkedKeys(),
      recorded: { bytes: 0 },
      now,
      onOutcome: (outcome) => counters.add('cache', 1, cacheOutcomes.indexOf(outcome)),
      onStored: () => counters.add('cache', 1, cacheCounters.indexOf('stored')),
    },
    bypass: rules,
    healthPath,
    refresher: new Refresher(connect, idHeader),
    refuse,
  });
}

async function redisStore(
  { settings, memory, now, tell }: CacheStageOptions,
  counters: Counters,
  maxBytes: number,
): Promise<CacheStore> {
  const { createRedisStore } = await import('../cache/redis/create.js');
  return createRedisStore({
    url: settings.rules.cacheStore,
    maxBytes,
    purges: new Purges(memory.purges),
    purgeLog: memory.purgeLog,
    state: memory.storeState,
    now,
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
}
