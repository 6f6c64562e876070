// The store that all event loops of a machine share, seen by several event loops: each has a `SharedStore` on the same memory.
import { describe, expect, test } from 'vitest';
import { KeyHasher } from '../../src/cache/key-hash.ts';
import { Purges } from '../../src/cache/purges.ts';
import { readHead } from '../../src/cache/response-head.ts';
import type { Selecting } from '../../src/cache/selecting.ts';
import { sharedBytes } from '../../src/cache/shared-layout.ts';
import { SharedStore } from '../../src/cache/shared-store.ts';
import { StoredResponse } from '../../src/cache/stored-response.ts';
import { now } from '../../src/clock.ts';
import { memoryBytes, partOf } from '../../src/memory/parts.ts';
import { newSeed, randomOf } from '../helpers/seeds.ts';

const mega = 1024 ** 2;

interface Options {
  readonly cache?: number;
  readonly copies?: number;
}

/** @returns a function that makes the store of one more event loop */
function machine({ cache = 2 * mega, copies = 64 * 1024 }: Options = {}) {
  const memory = new SharedArrayBuffer(sharedBytes(cache));
  const purges = new Purges(partOf(new SharedArrayBuffer(memoryBytes), 'purges'));
  const counted = { evicted: 0, bytes: 0 };
  const loop = () =>
    new SharedStore({
      memory,
      hasher: new KeyHasher(Int32Array.of(1, 2, 3, 4)),
      maxCopyBytes: copies,
      purges,
      now,
      onEvicted: (count) => {
        counted.evicted += count;
      },
      onBytes: (bytes) => {
        counted.bytes = bytes;
      },
    });
  return { memory, counted, loop };
}

interface Made {
  readonly selecting?: Selecting;
  readonly tags?: string;
}

function response(body: string | Buffer, { selecting = [], tags }: Made = {}): StoredResponse {
  const text = `HTTP/1.1 200 OK\r\netag: "a"\r\n${tags === undefined ? '' : `cache-tag: ${tags}\r\n`}\r\n`;
  const freshness = {
    lifetime: 60,
    initialAge: 0,
    staleWhileRevalidate: 0,
    staleIfError: 0,
    needsValidation: false,
    forbidsStale: false,
    isForAuthorized: false,
  };
  const time = now();
  const head = readHead(text, 200, 'OK');
  return new StoredResponse({ head, body, freshness, selecting, storedAt: time, requestedAt: time });
}

const keyOf = (url: string) => `host\n${url}`;
const bodies = (found: readonly StoredResponse[]) => found.map(({ body }) => String(body));
const lang = (value: string): Selecting => [['x-lang', value]];

describe('what one event loop stores, another one', () => {
  test('finds, also when it has been replaced', () => {
    const { loop } = machine();
    const [a, b] = [loop(), loop()];
    a.put(keyOf('/'), '/', response('one'));
    expect(bodies(b.get(keyOf('/')))).toEqual(['one']);
    b.put(keyOf('/'), '/', response('two'));
    expect(bodies(a.get(keyOf('/')))).toEqual(['two']);
    expect(a.get(keyOf('/other'))).toEqual([]);
  });

  test('finds for each variant, the newest first, at most 64', () => {
    const { loop, counted } = machine();
    const [a, b] = [loop(), loop()];
    a.put(keyOf('/'), '/', response('de', { selecting: lang('de') }));
    b.put(keyOf('/'), '/', response('en', { selecting: lang('en') }));
    expect(bodies(a.get(keyOf('/')))).toEqual(['en', 'de']);
    a.put(keyOf('/'), '/', response('de again', { selecting: lang('de') }));
    expect(bodies(b.get(keyOf('/')))).toEqual(['de again', 'en']);
    for (let i = 0; i < 100; i++) a.put(keyOf('/'), '/', response(`${i}`, { selecting: lang(`${i}`) }));
    expect(bodies(b.get(keyOf('/')))).toEqual(Array.from({ length: 64 }, (_, i) => `${99 - i}`));
    expect(counted.evicted).toBe(38);
  });

  test('finds no longer when a third one has dropped or purged it', () => {
    const { loop } = machine();
    const [a, b, c] = [loop(), loop(), loop()];
    const fill = () => {
      a.put(keyOf('/'), '/', response('de', { selecting: lang('de'), tags: 'sport' }));
      a.put(keyOf('/'), '/', response('en', { selecting: lang('en') }));
      expect(bodies(b.get(keyOf('/')))).toEqual(['en', 'de']);
    };
    fill();
    c.drop(keyOf('/'), c.get(keyOf('/'))[0] as StoredResponse);
    expect(bodies(b.get(keyOf('/')))).toEqual(['de']);
    c.drop(keyOf('/'), c.get(keyOf('/'))[0] as StoredResponse);
    expect(b.get(keyOf('/'))).toEqual([]);
    fill();
    c.purge('sport');
    expect(bodies(b.get(keyOf('/')))).toEqual(['en']);
    c.delete('/');
    expect(b.get(keyOf('/'))).toEqual([]);
    // What was asked for before a purge is not stored after it.
    const late = response('late');
    c.delete('/');
    a.put(keyOf('/'), '/', late);
    expect(b.get(keyOf('/'))).toEqual([]);
  });
});

test('a large body comes back as it was, around the end of the ring, too', () => {
  const { loop } = machine();
  const [a, b] = [loop(), loop()];
  const random = randomOf(newSeed('shared cache, large bodies'));
  for (let i = 0; i < 200; i++) {
    const body = Buffer.alloc(random.integer(9000, 90_000), `${i} `);
    a.put(keyOf(`/${i}`), `/${i}`, response(body));
    expect(body.equals(b.get(keyOf(`/${i}`))[0]?.body as Buffer)).toBe(true);
  }
});

test('what is too large for the ring is not stored', () => {
  const { loop } = machine();
  const store = loop();
  store.put(keyOf('/'), '/', response(Buffer.alloc(mega)));
  expect(store.get(keyOf('/'))).toEqual([]);
});

describe('when the ring is full', () => {
  const fill = (store: SharedStore, from: number, count: number) => {
    for (let i = from; i < from + count; i++) store.put(keyOf(`/${i}`), `/${i}`, response('x'.repeat(4000)));
  };

  test('the oldest responses are lost first, and counted', () => {
    const { loop, counted } = machine();
    const store = loop();
    fill(store, 0, 1000);
    const { evicted } = counted;
    const left = Array.from({ length: 1000 }, (_, i) => store.get(keyOf(`/${i}`)).length);
    const first = left.indexOf(1);
    expect(first).toBeGreaterThan(500);
    expect(left.slice(first)).toEqual(Array(1000 - first).fill(1));
    expect(evicted).toBe(first);
  });

  test('what is used stays, with all its variants; also from a copy', () => {
    for (const copies of [1, 64 * 1024]) {
      const { loop } = machine({ copies });
      const [a, b] = [loop(), loop()];
      a.put(keyOf('/used'), '/used', response('used'));
      for (const value of ['de', 'en']) a.put(keyOf('/lang'), '/lang', response(value, { selecting: lang(value) }));
      for (let i = 0; i < 1600; i += 50) {
        fill(a, i, 50);
        expect(bodies((i % 100 ? a : b).get(keyOf('/used')))).toEqual(['used']);
        expect(bodies((i % 100 ? b : a).get(keyOf('/lang')))).toEqual(['en', 'de']);
      }
      expect(b.get(keyOf('/1'))).toEqual([]);
    }
  });

  test('what is used is written once more only in each half of a lap', () => {
    const { loop, memory } = machine();
    const loops = [loop(), loop(), loop()];
    const written = () => Number(new BigInt64Array(memory, 0, 1)[0]);
    loops[0]?.put(keyOf('/used'), '/used', response('u'.repeat(40_000)));
    fill(loops[0] as SharedStore, 0, 250);
    const before = written();
    for (let i = 0; i < 300; i++) for (const one of loops) expect(one.get(keyOf('/used'))).toHaveLength(1);
    expect((written() - before) * 64).toBeGreaterThan(40_000);
    expect((written() - before) * 64).toBeLessThan(42_000);
  });
});

test('copies stay within their bound, and a copy is used only while the index names its record', () => {
  const { loop, counted } = machine({ cache: 8 * mega });
  const [a, b] = [loop(), loop()];
  for (let i = 0; i < 500; i++) {
    a.put(keyOf(`/${i}`), `/${i}`, response('x'.repeat(1000)));
    expect(a.get(keyOf(`/${i}`))).toHaveLength(1);
    expect(counted.bytes).toBeLessThanOrEqual(64 * 1024);
  }
  expect(counted.bytes).toBeGreaterThan(48 * 1024);
  expect(a.get(keyOf('/499'))[0]).toBe(a.get(keyOf('/499'))[0]);
  const before = a.get(keyOf('/499'))[0];
  b.put(keyOf('/499'), '/499', response('new'));
  expect(bodies(a.get(keyOf('/499')))).toEqual(['new']);
  expect(before).not.toBe(a.get(keyOf('/499'))[0]);
});

test('whatever an app writes to the memory, no wrong response comes back, and no store fails', () => {
  const seed = newSeed('shared cache, wrong memory');
  const random = randomOf(seed);
  const { loop, memory } = machine();
  const stores = [loop(), loop()];
  const words = new Int32Array(memory);
  let found = 0;
  for (let round = 0; round < 1500; round++) {
    const key = random.integer(0, 40);
    const store = random.pick(stores);
    const selecting = lang(`${random.integer(0, 3)}`);
    const body = `${key}:`.repeat(random.integer(1, 2000));
    if (random.chance(0.5)) store.put(keyOf(`/${key}`), `/${key}`, response(body, { selecting }));
    for (const one of store.get(keyOf(`/${key}`))) {
      found++;
      expect(String(one.body).replaceAll(`${key}:`, '')).toBe('');
    }
    // The head, the index, and all of it.
    const most = random.pick([2, 30_000, words.length]);
    const value = () =>
      random.pick([0, -1, random.integer(-(2 ** 31), 2 ** 31 - 1), words[random.integer(0, most - 1)] as number]);
    for (let i = 0; random.chance(0.7) && i < 20; i++) words[random.integer(0, most - 1)] = value();
  }
  expect(found).toBeGreaterThan(50);
});
