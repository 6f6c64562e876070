// The store in a Redis server: what one machine stores is a hit on another, and what one purges is gone on all.
import { describe, expect, test } from 'vitest';
import { purgeLogWrites } from '../../src/cache/purge-log.ts';
import { type Purged, purgeMark, slotOf } from '../../src/cache/purges.ts';
import { now } from '../../src/clock.ts';
import { memoryBytes, type PartName, partOf } from '../../src/memory/parts.ts';
import { ask, cacheStatus } from '../helpers/cache-client.ts';
import { CachedApp, type CachedAppOptions } from '../helpers/cached-app.ts';
import { eventually } from '../helpers/eventually.ts';
import { hasRedis, RedisServer } from '../helpers/redis.ts';
import { storeErrors } from '../helpers/store-errors.ts';

const newMemory = (): SharedArrayBuffer => new SharedArrayBuffer(memoryBytes);

/** A machine of its own. */
function machine(redis: RedisServer, options: Partial<CachedAppOptions> = {}, parameters?: string): Promise<CachedApp> {
  const { rules, ...others } = options;
  return CachedApp.start({
    handle: counting(),
    memory: newMemory(),
    rules: { cacheStore: redis.url(parameters) as never, ...rules },
    ...others,
  });
}

/** Says how many requests it has had; the target names fields of the response. */
function counting(): CachedAppOptions['handle'] {
  let count = 0;
  return (req, res) => {
    const { searchParams } = new URL(req.url ?? '', 'http://app');
    if (req.method === 'GET') count++;
    res.setHeader('cache-control', 'max-age=600');
    for (const [name, value] of searchParams) if (name !== 'bytes') res.setHeader(name, value);
    const vary = searchParams.get('vary');
    const seen = vary === null ? '' : String(req.headers[vary.toLowerCase()]);
    res.end(`${count} ${seen}${'é'.repeat(Number(searchParams.get('bytes') ?? 0))}`);
  };
}

/** As the supervisor of that machine. */
function purge(memory: SharedArrayBuffer, purged: Purged, nth: number): void {
  const write = (name: PartName, { start, bytes }: { readonly start: number; readonly bytes: Uint8Array }) =>
    new Uint8Array(memory, partOf(memory, name).start + start, bytes.length).set(bytes);
  write('purges', purgeMark(purged, now()));
  for (const one of purgeLogWrites(nth, slotOf(purged))) write('purgeLog', one);
}

const statusOf = async (app: CachedApp, target: string, headers = {}): Promise<string> =>
  cacheStatus(await ask(`${app.url}${target}`, { host: 'shop', ...headers }));

/** Until the store has it. */
async function storedBy(app: CachedApp, target: string, headers = {}): Promise<void> {
  await eventually(`${target} to be stored`, async () => (await statusOf(app, target, headers)) === 'hit');
}

describe.skipIf(!hasRedis)('two machines', () => {
  test('a response that one has stored is a hit on the other, to the byte', async () => {
    await using redis = await RedisServer.start();
    await using one = await machine(redis);
    await using other = await machine(redis);
    for (const target of ['/a', '/large?bytes=100000', '/tags?surrogate-key=a%20b', '/etag?etag=%22x%22']) {
      await storedBy(one, target);
      const [ours, theirs] = [
        await ask(one.url + target, { host: 'shop' }),
        await ask(other.url + target, { host: 'shop' }),
      ];
      expect(cacheStatus(theirs)).toBe('hit');
      expect(theirs.body).toBe(ours.body);
      expect(theirs.headers.date).toBe(ours.headers.date);
    }
    expect((await ask(`${other.url}/etag?etag=%22x%22`, { host: 'shop', 'if-none-match': '"x"' })).status).toBe(304);
    expect((await ask(`${other.url}/a`, { host: 'other' })).body).not.toBe(
      (await ask(`${other.url}/a`, { host: 'shop' })).body,
    );
  });

  test('each variant is found, and no other one', async () => {
    await using redis = await RedisServer.start();
    await using one = await machine(redis);
    await using other = await machine(redis);
    const target = '/v?vary=X-Lang';
    for (const lang of ['de', 'en', 'fr']) await storedBy(one, target, { 'x-lang': lang });
    for (const lang of ['fr', 'de', 'en']) {
      const { body, ...rest } = await ask(other.url + target, { host: 'shop', 'x-lang': lang });
      expect(cacheStatus({ body, ...rest })).toBe('hit');
      expect(body.endsWith(` ${lang}`)).toBe(true);
    }
    expect(await statusOf(other, target, { 'x-lang': 'es' })).toMatch(/^fwd=/);
    expect(await statusOf(other, target)).toMatch(/^fwd=/);
  });

  test('a purge of one, and an unsafe request to it, reach the other', async () => {
    await using redis = await RedisServer.start();
    const memory = newMemory();
    await using one = await machine(redis, { memory });
    await using other = await machine(redis);
    const target = '/p?surrogate-key=a%20b';
    const purges: readonly Purged[] = [{ url: target }, { tag: 'b' }, 'all'];
    for (const [i, purged] of purges.entries()) {
      await storedBy(one, target);
      const { body } = await ask(other.url + target, { host: 'shop' });
      purge(memory, purged, i + 1);
      expect((await ask(one.url + target, { host: 'shop' })).body, 'at once').not.toBe(body);
      await eventually('the other one to know', async () => {
        const { body: theirs } = await ask(other.url + target, { host: 'shop' });
        return theirs !== body;
      });
    }
    await storedBy(one, '/q');
    const { body } = await ask(`${other.url}/q`, { host: 'shop' });
    await ask(`${one.url}/q`, { host: 'shop' }, { method: 'DELETE' });
    await eventually('the other one to ask the app', async () => {
      return (await ask(`${other.url}/q`, { host: 'shop' })).body !== body;
    });
    purge(memory, { url: '/elsewhere' }, 4);
    await storedBy(one, '/q');
    expect(await statusOf(other, '/q')).toBe('hit');
  });

  test('a purge that the store could not be told of reaches the other machine when it is back', async () => {
    await using redis = await RedisServer.start();
    await using one = await machine(redis, {}, 'prefix=test');
    await using other = await machine(redis);
    await storedBy(one, '/p');
    expect(await statusOf(other, '/p')).toBe('hit');
    redis.signal('SIGSTOP');
    await eventually('the store to be down', async () => {
      await ask(`${one.url}/other`);
      return one.told.includes('cache-store-down');
    });
    await ask(`${one.url}/p`, { host: 'shop' }, { method: 'DELETE' });
    redis.signal('SIGCONT');
    await eventually('the store to be up', () => one.told.includes('cache-store-up'));
    const { headers } = await ask(`${other.url}/p`, { host: 'shop', 'cache-control': 'only-if-cached' });
    expect(String(headers['cache-status'])).not.toContain('hit');
  });

  test('a response that was on its way during a purge by the other machine is not used', async () => {
    await using redis = await RedisServer.start();
    let release = (): void => {};
    let count = 0;
    const handle: CachedAppOptions['handle'] = async (req, res) => {
      const body = `body ${++count}`;
      if (req.url === '/held' && count === 1) {
        await new Promise<void>((resolve) => {
          release = resolve;
        });
      }
      res.setHeader('cache-control', 'max-age=600');
      res.end(body);
    };
    await using one = await machine(redis, { handle });
    await using other = await machine(redis);
    const asked = ask(`${one.url}/held`, { host: 'shop' });
    await eventually('the app to have it', () => count === 1);
    await storedBy(other, '/elsewhere');
    await ask(`${other.url}/held`, { host: 'shop' }, { method: 'DELETE' });
    await eventually('the store to know', async () => {
      const [count] = await redis.do(['ZCARD', 'mpserve:1:test:purges']);
      return count === 2;
    });
    release();
    expect((await asked).body).toBe('body 1');
    for (const app of [one, other]) {
      expect((await ask(`${app.url}/held`, { host: 'shop' })).body).not.toBe('body 1');
    }
  });

  test('what was stored before the purges were lost counts no more', async () => {
    await using redis = await RedisServer.start();
    await using one = await machine(redis);
    await storedBy(one, '/a');
    const [, keys] = await redis.do(['DEL', 'mpserve:1:test:purges'], ['KEYS', '*']);
    expect(keys).toHaveLength(1);
    expect(await statusOf(one, '/a')).toBe('fwd=uri-miss');
    await storedBy(one, '/a');
  });

  test('simultaneous requests for the same are one request to the app', async () => {
    await using redis = await RedisServer.start();
    let count = 0;
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const handle: CachedAppOptions['handle'] = async (req, res) => {
      res.setHeader('cache-control', 'max-age=600');
      if (req.url !== '/held') return void res.end();
      count++;
      await held;
      res.end('body');
    };
    await using one = await machine(redis, { handle });
    await storedBy(one, '/elsewhere');
    const all = Promise.all(Array.from({ length: 200 }, () => ask(`${one.url}/held`)));
    await eventually('all of them', () => one.connections >= 200 && count > 0);
    // Each has asked the store by the time that a later one has its answer.
    await storedBy(one, '/later');
    release();
    expect(new Set((await all).map(({ body }) => body))).toEqual(new Set(['body']));
    expect(count).toBe(1);
  });

  test('a prefix is a cache of its own', async () => {
    await using redis = await RedisServer.start();
    await using one = await machine(redis);
    await using other = await machine(redis, {}, 'prefix=other&timeout=1s');
    await storedBy(one, '/a');
    expect(await statusOf(other, '/a')).toBe('fwd=uri-miss');
  });

  test('a stale response that may be used is validated once', async () => {
    await using redis = await RedisServer.start();
    let count = 0;
    let held: Promise<void> | undefined;
    const handle: CachedAppOptions['handle'] = async (_req, res) => {
      const body = `body ${++count}`;
      await held;
      res.setHeader('cache-control', 'max-age=0, stale-while-revalidate=600');
      res.end(body);
    };
    await using one = await machine(redis, { handle });
    await eventually('a stale one', async () => cacheStatus(await ask(one.url)) === 'hit');
    let release = (): void => {};
    held = new Promise((resolve) => {
      release = resolve;
    });
    const before = count;
    const asked = Promise.all(Array.from({ length: 10 }, () => ask(one.url)));
    const bodies = new Set((await asked).map(({ body }) => body));
    const during = count - before;
    release();
    expect(bodies.size).toBe(1);
    expect(during).toBeLessThanOrEqual(1);
    await eventually('a new one', async () => !bodies.has((await ask(one.url)).body));
  });
});

describe.skipIf(!hasRedis)('in Redis', () => {
  test('each key expires by itself, the later the longer its responses are of use', async () => {
    await using redis = await RedisServer.start();
    await using one = await machine(redis);
    await storedBy(one, '/a');
    await storedBy(one, '/b?etag=%22x%22');
    const [keys] = (await redis.do(['KEYS', 'mpserve:1:test:*'])) as [string[]];
    expect(keys).toHaveLength(3);
    const lives = (await redis.do(...keys.filter((key) => !key.endsWith(':purges')).map((key) => ['PTTL', key]))).map(
      Number,
    );
    lives.sort((a, b) => a - b);
    expect(lives[0]).toBeGreaterThan(500_000);
    expect(lives[0]).toBeLessThanOrEqual(600_000);
    expect(lives[1]).toBeGreaterThan(4_000_000);
    const [left] = await redis.do(['PTTL', 'mpserve:1:test:purges']);
    expect(left).toBeGreaterThan(86_400_000);
  });

  test('a key has at most 64 variants', async () => {
    await using redis = await RedisServer.start();
    await using one = await machine(redis);
    await storedBy(one, '/v?vary=X-Lang', { 'x-lang': 'first' });
    for (let i = 0; i < 100; i++) await ask(`${one.url}/v?vary=X-Lang`, { host: 'shop', 'x-lang': `${i}` });
    const [keys] = (await redis.do(['KEYS', '*'])) as [string[]];
    const key = keys.find((one) => !one.endsWith(':purges')) as string;
    // Two that are stored at the same time both make room.
    const fields = await eventually('as many', async () => {
      const count = Number((await redis.do(['HLEN', key]))[0]);
      return count <= 65 && count;
    });
    expect(fields).toBeGreaterThan(50);
  });

  test.each<readonly [string, (key: string, value: Buffer) => readonly (readonly (string | Buffer)[])[]]>([
    ['a damaged response', (key, value) => [['HSET', key, '=', Buffer.concat([value, Buffer.from('x')])]]],
    [
      'a changed byte',
      (key, value) => [['HSET', key, '=', Buffer.from(value.map((byte, i) => (i === 60 ? byte ^ 1 : byte)))]],
    ],
    ['a response of another key', (key, value) => [['HSET', key, '=', value.subarray(0, 10)]]],
    ['an empty one', (key) => [['HSET', key, '=', '']]],
    [
      'a text',
      (key) => [
        ['DEL', key],
        ['SET', key, 'x'],
      ],
    ],
    [
      'a list',
      (key) => [
        ['DEL', key],
        ['RPUSH', key, 'x'],
      ],
    ],
    ['too many fields', (key) => [['HSET', key, ...Array.from({ length: 300 }, (_, i) => [`f${i}`, 'x']).flat()]]],
  ])('%s in its place is none, and the next response takes it', async (_name, commands) => {
    await using redis = await RedisServer.start();
    const memory = newMemory();
    await using one = await machine(redis, { memory });
    await storedBy(one, '/a');
    const [keys] = (await redis.do(['KEYS', '*'])) as [string[]];
    const key = keys.find((one) => !one.endsWith(':purges')) as string;
    const [value] = await redis.bytes(['HGET', key, '=']);
    await redis.do(...commands(key, value as Buffer));
    const { status, headers } = await ask(`${one.url}/a`, { host: 'shop' });
    expect([status, headers['cache-status']]).toEqual([200, 'mpserve; fwd=uri-miss']);
    expect(storeErrors(memory)).toMatchObject({ garbage: 1, timeout: 0, connection: 0, refused: 0 });
    await storedBy(one, '/a');
  });
});
