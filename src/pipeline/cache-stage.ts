// Makes the stage of --cache, with its store. Loaded only if it is on.
import type { Socket } from 'node:net';
import { MarkedKeys } from '../cache/marked-keys.js';
import { Purges } from '../cache/purges.js';
import type { Client } from '../client/proxy-header.js';
import type { CacheSettings, Config } from '../config/config.js';
import type { WorkerEvent } from '../events.js';
import type { Part } from '../memory/parts.js';
import { Counters } from '../metrics/counters.js';
import { cacheCounters, cacheOutcomes } from '../metrics/layout.js';
import type { LoopSlot } from '../overload/layout.js';
import { SlotTable } from '../overload/slots.js';
import { ResponseCache } from './cache.js';
import { Refresher } from './cache-refresh.js';
import { openStorage, type StorageOptions } from './cache-storage.js';
import type { refuse } from './failures.js';

const unitBytes = 1024;

export interface CacheStageOptions {
  readonly settings: CacheSettings;
  readonly healthPath: Config['overload']['healthPath'];
  /** Of the memory that all event loops share. */
  readonly memory: StorageOptions['memory'] & {
    readonly counters: Part;
    readonly places: Part;
    readonly purges: Part;
  };
  /** With a store that all event loops share. */
  readonly shared: SharedArrayBuffer | undefined;
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
  const { settings, healthPath, memory, shared, slot, tell, connect, refuse, now, idHeader } = options;
  const counters = new Counters(memory.counters, slot);
  const table = slot === undefined ? undefined : new SlotTable(memory.places);
  if (slot !== undefined) table?.use(slot.index);
  const { rules } = settings;
  const common = {
    purges: new Purges(memory.purges),
    now,
    onEvicted: (count: number) => counters.add('cache', count, cacheCounters.indexOf('evicted')),
    onBytes: (used: number) => {
      if (table && slot !== undefined)
        Atomics.store(table.words, table.at(slot.index, 'cacheUnits'), Math.ceil(used / unitBytes));
    },
  };
  const storage = await openStorage({
    settings,
    memory,
    shared,
    common,
    counters,
    onStored: () => counters.add('cache', 1, cacheCounters.indexOf('stored')),
    tell,
    isWarmUp: slot === undefined,
  });
  return new ResponseCache({
    parts: {
      ...storage,
      flights: storage.flights,
      rules,
      unstored: new MarkedKeys(),
      unshared: new MarkedKeys(),
      recorded: { bytes: 0 },
      now,
      onOutcome: (outcome) => counters.add('cache', 1, cacheOutcomes.indexOf(outcome)),
    },
    bypass: rules,
    healthPath,
    refresher: new Refresher(connect, idHeader),
    refuse,
  });
}
