// Makes the store in a Redis server of an event loop. Loaded only with such a --cache-store.
import { readRedisUrl, withoutPassword } from '../../config/redis-url.js';
import type { Part } from '../../memory/parts.js';
import type { CacheStoreError } from '../../metrics/layout.js';
import { PurgeLog } from '../purge-log.js';
import type { Purges } from '../purges.js';
import { connect } from './client.js';
import { Outage } from './outage.js';
import { RedisStore } from './store.js';

export type StorePart = 'all' | 'writes';

export interface RedisStoreSettings {
  readonly url: string;
  readonly maxBytes: number;
  readonly purges: Purges;
  readonly purgeLog: Part;
  /** Two words that all event loops share. */
  readonly state: Part;
  readonly now: () => number;
  readonly onFailure: (kind: CacheStoreError) => void;
  readonly onStored: () => void;
  /** Each is called in one event loop of the server, with the URL without its password. */
  readonly onOutage: (store: string, part: StorePart, reason: string) => void;
  readonly onRecovery: (store: string, part: StorePart, ms: number) => void;
}

export function createRedisStore(settings: RedisStoreSettings): RedisStore {
  const { url, state, purgeLog, now, onOutage, onRecovery, ...rest } = settings;
  const reading = readRedisUrl(url);
  if ('refused' in reading) throw new Error(`the URL of the store must ${reading.refused}`);
  const target = reading.value;
  const name = withoutPassword(url);
  const words = new Int32Array(state.memory, state.start, 2);
  const outage = (at: number, part: StorePart) =>
    new Outage(
      words,
      at,
      now,
      (reason) => onOutage(name, part, reason),
      (ms) => onRecovery(name, part, ms),
    );
  const store = new RedisStore({
    ...rest,
    connect: (onGone) => connect(target, onGone),
    prefix: target.prefix,
    timeoutMs: target.timeoutMs,
    purgeLog: new PurgeLog(purgeLog),
    now,
    outages: { all: outage(0, 'all'), writes: outage(1, 'writes') },
  });
  store.open();
  return store;
}
