// The parts of the store in Redis that need no server: its breaker, its clock, and what is told of purges and outages.
import { describe, expect, test } from 'vitest';
import { PurgeLog, purgeLogBytes, purgeLogWrites } from '../../src/cache/purge-log.ts';
import { Breaker } from '../../src/cache/redis/breaker.ts';
import { type Connection, connect } from '../../src/cache/redis/client.ts';
import { StoreFailure } from '../../src/cache/redis/failure.ts';
import { inTime } from '../../src/cache/redis/in-time.ts';
import { Link } from '../../src/cache/redis/link.ts';
import { Outage } from '../../src/cache/redis/outage.ts';
import { StoreClock } from '../../src/cache/redis/store-clock.ts';
import { now } from '../../src/clock.ts';
import { readRedisUrl } from '../../src/config/redis-url.ts';
import { hasRedis, RedisServer } from '../helpers/redis.ts';

describe('the breaker', () => {
  const make = (random = 0.5) => {
    const clock = { ms: 0 };
    return { clock, breaker: new Breaker({ now: () => clock.ms, random: () => random }) };
  };

  test('opens after five failures in a row', () => {
    const { breaker } = make();
    for (let i = 0; i < 4; i++) expect(breaker.failed()).toBe(false);
    breaker.succeeded();
    for (let i = 0; i < 4; i++) expect(breaker.failed()).toBe(false);
    expect(breaker.allows()).toBe(true);
    expect(breaker.failed()).toBe(true);
    expect(breaker.allows()).toBe(false);
  });

  test('lets one try after each pause, which doubles up to 30 s', () => {
    const { breaker, clock } = make();
    breaker.open();
    for (const pauseMs of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
      expect(breaker.waitMs).toBe(pauseMs);
      clock.ms += pauseMs - 1;
      expect(breaker.allows()).toBe(false);
      clock.ms += 1;
      expect(breaker.allows()).toBe(true);
      expect(breaker.allows(), 'a second one').toBe(false);
      expect(breaker.failed()).toBe(false);
    }
    expect(breaker.succeeded()).toBe(true);
    expect([breaker.allows(), breaker.waitMs, breaker.succeeded()]).toEqual([true, 0, false]);
    breaker.open();
    expect(breaker.waitMs).toBe(1000);
  });

  test('lets another one try when the first tells nothing', () => {
    const { breaker, clock } = make();
    breaker.open();
    clock.ms += 1000;
    expect(breaker.allows()).toBe(true);
    clock.ms += 1000;
    expect(breaker.allows()).toBe(true);
  });

  test.each([
    [0, 750],
    [1, 1250],
  ])('spreads the attempts of event loops: %s', (random, ms) => {
    const { breaker } = make(random);
    breaker.open();
    expect(breaker.waitMs).toBe(ms);
  });
});

describe('the clock of the store', () => {
  test('is known to within the time of the best question', () => {
    const clock = new StoreClock();
    clock.sample(100, 5000, 130);
    expect([clock.lowShift, clock.highShift]).toEqual([4870, 4900]);
    clock.sample(200, 5090, 202);
    expect(clock.highShift - clock.lowShift).toBeLessThanOrEqual(2);
    // A slow one makes it no worse than the drift of the clocks.
    clock.sample(1200, 6500, 2202);
    expect(clock.highShift - clock.lowShift).toBeLessThanOrEqual(6.1);
  });

  test.each([3_600_000, -3_600_000])('follows when it is set by %s ms', (by) => {
    const clock = new StoreClock();
    clock.sample(100, 5000, 101);
    clock.sample(1100, 6000 + by, 1102);
    expect([clock.lowShift, clock.highShift]).toEqual([4898 + by, 4900 + by]);
  });
});

describe('the log of purges', () => {
  const memory = new SharedArrayBuffer(purgeLogBytes);
  const part = { memory, start: 0, bytes: purgeLogBytes };
  const write = (nth: number, slot: number): void => {
    for (const { start, bytes } of purgeLogWrites(nth, slot)) new Uint8Array(memory, start, bytes.length).set(bytes);
  };

  test('tells each event loop of each purge, and of too many that there were too many', () => {
    const one = new PurgeLog(part);
    expect(one.take()).toEqual([]);
    write(1, 70);
    write(2, 71);
    expect(one.take()).toEqual([70, 71]);
    expect(one.take()).toEqual([]);
    for (let i = 3; i <= 256; i++) write(i, i);
    expect(one.take()).toEqual(Array.from({ length: 254 }, (_, i) => i + 3));
    const late = new PurgeLog(part);
    expect(late.take()).toHaveLength(254);
    for (let i = 257; i <= 600; i++) write(i, i);
    expect(one.take()).toBeUndefined();
    expect(one.take()).toEqual([]);
  });
});

test('of an outage, one event loop tells that it has begun, and one that it is over', () => {
  const words = new Int32Array(2);
  const told: string[] = [];
  let ms = 1000;
  const loops = ['a', 'b'].map(
    (name) =>
      new Outage(
        words,
        1,
        () => ms,
        (reason) => told.push(`${name} down: ${reason}`),
        (lasted) => told.push(`${name} up after ${lasted}`),
      ),
  );
  loops[0]?.ended();
  for (const loop of loops) loop.began('x');
  ms += 500;
  loops[1]?.ended();
  loops[0]?.ended();
  loops[1]?.began('y');
  expect(told).toEqual(['a down: x', 'b up after 500', 'b down: y']);
});

describe('the link', () => {
  const make = (send: Connection['send'], maxBytes = 1000) => {
    const failures: string[] = [];
    const link = new Link({
      connect: async () => ({
        send: (command) => (command[0] === 'TIME' ? Promise.resolve(['1', '0']) : send(command)),
        close: () => {},
      }),
      breaker: new Breaker({ now: () => 0 }),
      clock: new StoreClock(),
      now: () => 0,
      begin: async () => {},
      onTick: () => {},
      onFailure: (kind) => failures.push(kind),
      onDown: (reason) => failures.push(`down: ${reason}`),
      onAlive: () => failures.push('up'),
      maxBytes,
    });
    link.open();
    return { link, failures };
  };

  test('takes no more than so many bytes, and so many questions, at the same time', async () => {
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { link, failures } = make(() => gate);
    const work = (bytes: number) => link.do({ ms: 10_000, bytes, run: (send) => send(['X']).then(() => 'done') });
    const first = work(600);
    expect(await work(401)).toBeUndefined();
    const all = Array.from({ length: 2047 }, () => work(0));
    expect(await work(0)).toBeUndefined();
    release();
    expect(await first).toBe('done');
    expect(new Set(await Promise.all(all))).toEqual(new Set(['done']));
    expect(await work(1000)).toBe('done');
    expect(failures).toEqual(['busy', 'busy', 'up']);
    link.close();
  });

  test('goes down after five errors in a row, and then asks nothing', async () => {
    let asked = 0;
    const { link, failures } = make(() => {
      asked++;
      return Promise.reject(new StoreFailure('refused', 'ERR no'));
    });
    for (let i = 0; i < 20; i++) await link.do({ ms: 1000, run: (send) => send(['X']) });
    expect(asked).toBe(5);
    expect(link.mayAnswer).toBe(false);
    expect(failures).toEqual(['up', ...Array(5).fill('refused'), 'down: ERR no']);
    link.close();
  });

  test('counts what throws as an invalid answer', async () => {
    const { link, failures } = make(() => Promise.resolve(null));
    const run = async () => {
      throw new TypeError('not a function');
    };
    expect(await link.do({ ms: 1000, run })).toBeUndefined();
    expect(failures).toEqual(['up', 'garbage']);
    link.close();
  });
});

test.skipIf(!hasRedis).each([120, 300])(
  'an answer counts that came while the app blocked the event loop for %s ms',
  async (ms) => {
    await using redis = await RedisServer.start();
    const target = readRedisUrl(redis.url());
    if ('refused' in target) throw new Error(target.refused);
    const connection = await connect(target.value, () => {});
    const answer = inTime(100, connection.send(['TIME']), now);
    // By then it has been sent.
    for (let i = 0; i < 3; i++) await new Promise(setImmediate);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    expect(await answer).toHaveLength(2);
    connection.close();
  },
);
