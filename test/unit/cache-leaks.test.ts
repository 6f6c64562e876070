// No response of one client is ever served to another: random requests (cookies, credentials, Vary, conditions, ranges,
// disconnects) to an app that fails at random, at the same time, so that many of them wait for each other.
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Flight } from '../../src/cache/flight.ts';
import { RedisStore } from '../../src/cache/redis/store.ts';
import { sharedBytes } from '../../src/cache/shared-layout.ts';
import { StoredResponse } from '../../src/cache/stored-response.ts';
import { memoryBytes } from '../../src/memory/parts.ts';
import { Recording } from '../../src/pipeline/recording.ts';
import { CachedApp, type CachedAppOptions } from '../helpers/cached-app.ts';
import { askAtRandom, personalApp, type Tally } from '../helpers/personal-app.ts';
import { hasRedis, RedisServer } from '../helpers/redis.ts';
import { repetitions } from '../helpers/repetitions.ts';
import { newSeed, randomOf } from '../helpers/seeds.ts';

const bytes = 4 * 1024 ** 2;

async function run(total: number, seed: number, rules: CachedAppOptions['rules'] = {}): Promise<Tally> {
  const random = randomOf(seed);
  const handle = personalApp(random, { failures: 0.03 });
  await using app = await CachedApp.start({ handle, rules: { cacheTtl: 1000, ...rules }, bytes });
  return await askAtRandom([app.url], random, total);
}

/** Three event loops with one store, in which a lap of the ring takes some seconds. */
async function runShared(total: number, seed: number): Promise<Tally> {
  const random = randomOf(seed);
  const common = {
    handle: personalApp(random, { failures: 0.03 }),
    rules: { cacheTtl: 1000 },
    bytes,
    memory: new SharedArrayBuffer(memoryBytes),
    cacheMemory: new SharedArrayBuffer(sharedBytes(bytes)),
  };
  await using first = await CachedApp.start({ ...common, slot: 0 });
  await using second = await CachedApp.start({ ...common, slot: 1 });
  await using third = await CachedApp.start({ ...common, slot: 2 });
  return await askAtRandom([first.url, second.url, third.url], random, total);
}

/** Asks until the test finds what a fault makes possible, which chance decides. */
async function findings(subject: string, wanted: string, rules: CachedAppOptions['rules'] = {}): Promise<string[]> {
  const found: string[] = [];
  for (let round = 0; round < 20 && !found.includes(wanted); round++) {
    const { violations } = await run(1000, newSeed(subject), rules);
    found.push(...violations.map(({ why }) => why));
  }
  return found;
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a client gets no response of another one that is not for all', () => {
  test('in 5,000 random requests', async () => {
    const { violations, shared, cut } = await run(5000, newSeed('cache leaks'));
    expect(violations.slice(0, 3)).toEqual([]);
    expect(shared).toBeGreaterThan(500);
    expect(cut).toBeGreaterThan(0);
  });

  test('in more random requests', { tags: ['long'] }, async () => {
    const requests = repetitions({ few: 25_000, all: 100_000 });
    const { violations, shared } = await run(requests, newSeed('cache leaks'));
    expect(violations.slice(0, 3)).toEqual([]);
    expect(shared).toBeGreaterThan(requests / 10);
  });

  test('in 1000 random requests to event loops that share a store', async () => {
    const { violations, shared, cut } = await runShared(1000, newSeed('shared cache leaks'));
    expect(violations.slice(0, 3)).toEqual([]);
    expect(shared).toBeGreaterThan(100);
    expect(cut).toBeGreaterThan(0);
  });

  test('in more random requests to event loops that share a store', { tags: ['long'] }, async () => {
    const { violations, shared } = await runShared(
      repetitions({ few: 10_000, all: 100_000 }),
      newSeed('shared cache leaks'),
    );
    expect(violations.slice(0, 3)).toEqual([]);
    expect(shared).toBeGreaterThan(1000);
  });
});

test('only what is stored is shared, whatever those that wait are told', async () => {
  const { land } = Flight.prototype;
  let wrong = 0;
  vi.spyOn(Flight.prototype, 'land').mockImplementation(function (this: Flight, landing) {
    if (landing !== 'stored') wrong++;
    land.call(this, 'stored');
  });
  const { violations } = await run(1000, newSeed('cache with wrong landings'));
  expect(wrong).toBeGreaterThan(0);
  expect(violations).toEqual([]);
});

describe('the test finds a cache that', () => {
  test('forgets Vary', async () => {
    vi.spyOn(StoredResponse.prototype, 'isFor').mockReturnValue(true);
    const wanted = 'a response for another x-lang';
    expect(await findings('cache without Vary', wanted)).toContain(wanted);
  });

  test('stores Set-Cookie', async () => {
    const wanted = 'the cookie of another client';
    expect(await findings('cache with Set-Cookie', wanted, { cacheSetCookie: true })).toContain(wanted);
  });

  test('stores a body that was cut', async () => {
    const { lose } = Recording.prototype;
    vi.spyOn(Recording.prototype, 'lose').mockImplementation(function (this: Recording) {
      this.ended();
      lose.call(this);
    });
    const wanted = 'a part as if it were the whole';
    expect(await findings('cache with cut bodies', wanted)).toContain(wanted);
  });
});

describe.skipIf(!hasRedis)('with a store in Redis', () => {
  async function runWithRedis(total: number, subject: string): Promise<Tally> {
    await using redis = await RedisServer.start();
    return await run(total, newSeed(subject), { cacheStore: redis.url() as never });
  }

  test('a client gets no response of another one that is not for all, in 2,000 random requests', async () => {
    const { violations, shared, cut } = await runWithRedis(2000, 'cache leaks in Redis');
    expect(violations.slice(0, 3)).toEqual([]);
    expect(shared).toBeGreaterThan(100);
    expect(cut).toBeGreaterThan(0);
  });

  test('nor in more', { tags: ['long'] }, async () => {
    const { violations, shared } = await runWithRedis(repetitions({ few: 5000, all: 100_000 }), 'cache leaks in Redis');
    expect(violations.slice(0, 3)).toEqual([]);
    expect(shared).toBeGreaterThan(250);
  });

  test('the test finds a store that forgets Vary', { tags: ['long'] }, async () => {
    // Each finds the variants of all.
    vi.spyOn(StoredResponse.prototype, 'isFor').mockReturnValue(true);
    const { get } = RedisStore.prototype;
    vi.spyOn(RedisStore.prototype, 'get').mockImplementation(function (this: RedisStore, key, url) {
      return get.call(this, key, url, ['x-lang', 'de']);
    });
    const found: string[] = [];
    for (let round = 0; round < 20 && !found.includes('a response for another x-lang'); round++) {
      const { violations } = await runWithRedis(1000, 'Redis without Vary');
      found.push(...violations.map(({ why }) => why));
    }
    expect(found).toContain('a response for another x-lang');
  });
});
