// The URL of --cache-store: what it says, what is refused, and that no message has its password.
import { describe, expect, test } from 'vitest';
import { cacheStore } from '../../src/config/cache-store.ts';
import { type RedisTarget, readRedisUrl, withoutPassword } from '../../src/config/redis-url.ts';

const kind = cacheStore(['memory']);

const usual: RedisTarget = {
  address: { host: 'cache', port: 6379, tls: false },
  username: undefined,
  password: undefined,
  database: 0,
  prefix: 'shop',
  timeoutMs: 100,
};

describe('a URL', () => {
  test.each<readonly [string, Partial<RedisTarget>]>([
    ['redis://cache?prefix=shop', {}],
    [
      'redis://cache:6380/3?prefix=a.b-c_1&timeout=20ms',
      { address: { host: 'cache', port: 6380, tls: false }, database: 3, prefix: 'a.b-c_1', timeoutMs: 20 },
    ],
    ['rediss://cache/?prefix=shop', { address: { host: 'cache', port: 6379, tls: true } }],
    ['redis://me:p%40ss@cache?prefix=shop', { username: 'me', password: 'p@ss' }],
    ['redis://:secret@[::1]:1?prefix=shop', { password: 'secret', address: { host: '::1', port: 1, tls: false } }],
    ['redis+unix:///run/my%20redis.sock?prefix=shop&db=2', { address: { path: '/run/my redis.sock' }, database: 2 }],
    [
      'redis+unix://me:secret@localhost/run/r.sock?prefix=shop',
      { address: { path: '/run/r.sock' }, username: 'me', password: 'secret' },
    ],
  ])('%s', (url, target) => {
    expect(readRedisUrl(url)).toEqual({ value: { ...usual, ...target } });
    expect(kind.read(url)).toEqual({ value: url });
  });

  test.each([
    ['redis://', /^name a prefix/],
    ['redis:', /^name a prefix/],
    ['redis://:0x/', /^be the URL of a Redis server/],
    ['redis://cache', /^name a prefix .* as in redis:\/\/localhost\?prefix=shop: servers with the same one share/],
    ['redis://cache?prefix=', /^name a prefix/],
    ['redis://cache?prefix=a:b', /^name a prefix/],
    ['redis://cache?prefix=shop&password=secret', /^have no parameters but prefix and timeout/],
    ['redis://cache?prefix=shop&db=1', /^have no parameters but prefix and timeout/],
    ['redis://cache?prefix=shop&timeout=0', /^have a timeout/],
    ['redis://cache/one?prefix=shop', /^have the number of a database after the slash/],
    ['redis://cache/-1?prefix=shop', /^have the number of a database/],
    ['redis+unix:///run/r.sock?prefix=shop&db=x', /^have the number of a database/],
    ['redis+unix:///?prefix=shop', /^name the path of a socket/],
    ['redis+unix://host/run/r.sock?prefix=shop', /^name the path of a socket/],
    ['redis://cache:99999?prefix=shop', /^be the URL of a Redis server/],
    ['redis://a%zz@cache?prefix=shop', /^have no % but/],
    ['http://cache?prefix=shop', /^be memory or the URL of a Redis server/],
    ['disk', /^be memory or the URL/],
    [5, /^be memory or the URL/],
  ])('%s is refused', (url, refused) => {
    expect(kind.read(url)).toMatchObject({ refused: expect.stringMatching(refused) });
  });
});

test.each([
  'redis://me:secret@cache?prefix=shop',
  'redis://:secret@cache/1?prefix=shop',
  'redis://:secret@cache',
  'redis://:secret@cache:99999?prefix=shop',
  'redis://:se/secret@cache?prefix=shop',
  'redis://:secret@secret@cache?prefix=shop',
  'redis://cache?prefix=shop&password=secret',
  'redis:/:secret@cache?prefix=shop',
  'http://:secret@cache',
  'redis+unix://:secret@/run/r.sock?prefix=shop',
])('%s is shown without its password', (url) => {
  expect(withoutPassword(url)).not.toContain('secret');
  const reading = kind.read(url);
  expect('value' in reading ? kind.show?.(reading.value) : JSON.stringify(reading)).not.toContain('secret');
});
