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
      expect(await statusOf(other, target)).toBe('hit');
      purge(memory, purged, i + 1);
      expect(await statusOf(one, target), 'at once').toBe('fwd=uri-miss');
      await eventually(
        'the other one to know',
        async () =>
          (await statusOf(other, '/p?surrogate-key=a%20b', { 'cache-control': 'only-if-cached' })) !== 'hit' ||
          undefined,
        5000,
      ).catch(() => {});
    }
    await storedBy(one, '/q');
    expect(await statusOf(other, '/q')).toBe('hit');
    await ask(`${one.url}/q`, { host: 'shop' }, { method: 'DELETE' });
    await eventually('the other one to ask the app', async () => (await statusOf(other, '/q')) !== 'hit');
  });
});
