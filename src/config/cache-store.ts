// The value of --cache-store.
import { type Kind, oneOf } from './kind.js';
import { isRedisUrl, readRedisUrl, withoutPassword } from './redis-url.js';

/** Where the cache keeps responses: a word, or the URL of a Redis server. */
export function cacheStore<const T extends string>(words: readonly T[]): Kind<T | RedisUrl, T | RedisUrl> {
  return {
    metavar: 'STORE',
    range: `${words.join(', ')} or redis://HOST?prefix=NAME`,
    read(raw) {
      if (words.includes(raw as T)) return { value: raw as T };
      if (typeof raw !== 'string') return { refused: refusal(words) };
      const reading = isRedisUrl(raw) ? readRedisUrl(raw) : { refused: refusal(words) };
      return 'value' in reading ? { value: raw as RedisUrl } : { ...reading, offender: withoutPassword(raw) };
    },
    write: (value) => value,
    show: (value) => (isRedisUrl(value) ? (withoutPassword(value) as RedisUrl) : value),
  };
}

export type RedisUrl = `redis://${string}` | `rediss://${string}` | `redis+unix://${string}`;

function refusal(words: readonly string[]): string {
  return `be ${oneOf([...words, 'the URL of a Redis server, as in redis://localhost?prefix=shop'])}`;
}
