// Makes the stage of --cache, with the store in the memory of this event loop. Loaded only if it is on.
import type { Socket } from 'node:net';
import { MarkedKeys } from '../cache/marked-keys.js';
import { MemoryStore } from '../cache/memory-store.js';
import { Purges } from '../cache/purges.js';
import type { Client } from '../client/proxy-header.js';
import type { CacheSettings, Config } from '../config/config.js';
import type { Part } from '../memory/parts.js';
import { Counters } from '../metrics/counters.js';
import { cacheCounters, cacheOutcomes } from '../metrics/layout.js';
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
  readonly memory: { readonly counters: Part; readonly places: Part; readonly purges: Part };
  /** Of this event loop; undefined while it warms up. */
  readonly slot: LoopSlot | undefined;
  readonly connect: (client: Client | undefined) => Socket;
  /** These are passed, as importing them would be one more file. */
  readonly refuse: typeof refuse;
  readonly now: () => number;
  readonly idHeader: string;
}

export function createCache({
  settings,
  healthPath,
  memory,
  slot,
  connect,
  refuse,
  now,
  idHeader,
}: CacheStageOptions): ResponseCache {
  const counters = new Counters(memory.counters, slot);
  const table = slot === undefined ? undefined : new SlotTable(memory.places);
  if (slot !== undefined) table?.use(slot.index);
  const { bytes, rules } = settings;
  const maxRecordedBytes = Math.floor(bytes * recordedFraction);
  const store = new MemoryStore({
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
