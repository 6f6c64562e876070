// What operators see of the caches of all event loops (--cache), and purge in them: both in the memory that they share, so
// that no event loop is asked.

import { purgeLogWrites } from '../cache/purge-log.js';
import { type Purged, purgeMark, slotOf } from '../cache/purges.js';
import { now } from '../clock.js';
import type { Config } from '../config/config.js';
import { isRedisUrl, withoutPassword } from '../config/redis-url.js';
import type { CacheStatus, Request, StoreStatus } from '../control/protocol.js';
import { Refused } from '../control/refused.js';
import type { ServerMemory } from '../memory/server-memory.js';
import { gaugesLayout, sumGauges } from '../metrics/gauges.js';
import { cacheCounters, cacheStoreErrors, layout } from '../metrics/layout.js';
import { Totals } from '../metrics/totals.js';
import type { CacheMemory } from './cache-memory.js';

/** Of the gauge. */
const unitBytes = 1024;

const maxLength = 2048;

export class CacheControl {
  readonly #memory: ServerMemory;
  readonly #cacheMemory: CacheMemory;
  readonly #totals = new Totals();
  #purges = 0;

  constructor(memory: ServerMemory, cacheMemory: CacheMemory) {
    this.#memory = memory;
    this.#cacheMemory = cacheMemory;
    this.#totals.add({ layout, usedRows: () => layout.rows, read: (bytes) => void memory.read('counters', 0, bytes) });
  }

  status({ cache: maxBytes, cacheStore }: Config['cache']): CacheStatus | null {
    if (maxBytes === 0) return null;
    const { cache, cacheStore: ofStore } = this.#totals.read();
    const of = (name: (typeof cacheCounters)[number]): number => cache[cacheCounters.indexOf(name)] ?? 0;
    const { cacheUnits } = sumGauges(gaugesLayout, (bytes, at) => void this.#memory.read('places', at, bytes));
    return {
      hits: of('hit'),
      stale: of('stale'),
      revalidated: of('revalidated'),
      coalesced: of('coalesced'),
      misses: of('miss'),
      bypassed: of('bypass'),
      stored: of('stored'),
      evicted: of('evicted'),
      bytes: cacheUnits * unitBytes + this.#cacheMemory.usedBytes,
      maxBytes,
      ...(isRedisUrl(cacheStore) && { store: this.#storeStatus(cacheStore, ofStore) }),
    };
  }

  #storeStatus(url: string, counts: readonly number[]): StoreStatus {
    const words = new Int32Array(2);
    this.#memory.read('storeState', 0, new Uint8Array(words.buffer));
    return {
      name: withoutPassword(url),
      isDown: words[0] !== 0,
      takesNothing: words[1] !== 0,
      errors: cacheStoreErrors.reduce((sum, _, i) => sum + (counts[i] ?? 0), 0),
    };
  }

  /** @returns what has been purged, in words. @throws Refused */
  purge({ url, tag }: Request, maxBytes: number): string {
    if (maxBytes === 0) throw new Refused('the server has no cache (--cache)');
    if (url !== undefined && tag !== undefined) throw new Refused('purge a URL or a tag, not both');
    const purged = purgedOf(url, tag);
    const { start, bytes } = purgeMark(purged, now());
    this.#memory.write('purges', start, bytes);
    for (const write of purgeLogWrites(++this.#purges, slotOf(purged)))
      this.#memory.write('purgeLog', write.start, write.bytes);
    if (purged === 'all') return 'all responses';
    return 'url' in purged ? `the responses for ${purged.url}` : `the responses with the tag ${purged.tag}`;
  }
}

/** Without a password. */
export function shownStore(store: Config['cache']['cacheStore']): Config['cache']['cacheStore'] {
  return isRedisUrl(store) ? (withoutPassword(store) as typeof store) : store;
}

function purgedOf(url: string | undefined, tag: string | undefined): Purged {
  if ((url ?? tag ?? '').length > maxLength) throw new Refused(`a URL or a tag has at most ${maxLength} characters`);
  if (tag !== undefined) return { tag };
  if (url === undefined) return 'all';
  const [, path = '/'] = /^(?:https?:\/\/[^/?#]*)?(\/[^#]*)?(?:#.*)?$/i.exec(url) ?? [undefined, undefined];
  if (!/^\/|^https?:\/\//i.test(url)) throw new Refused(`'${url}' is no URL; use /path or http://host/path`);
  return { url: path };
}
