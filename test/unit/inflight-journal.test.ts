// The in-flight journal: what a worker wrote to it can be read after the worker's death.
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Journal, offset, takeRequests } from '../../src/inflight/journal.ts';
import { JournalWriter } from '../../src/inflight/journal-writer.ts';
import { mapJournal, type Region, RegionPool, regionAt } from '../../src/inflight/regions.ts';

let journal: Journal;
beforeEach(() => {
  journal = new Journal(3);
});
afterEach(() => journal.close());

const writerAt = (index: number, isMapped = true): JournalWriter =>
  new JournalWriter(regionAt(journal, index, isMapped ? mapJournal(journal) : undefined) as Region);

test.each([
  ['mapped', true],
  ['in a file', false],
])('%s: the requests in flight of a dead worker are read once', (_, isMapped) => {
  const [one, two] = [writerAt(0, isMapped), writerAt(2, isMapped)];
  const first = one.begin('id-1', 'GET', '/a?x=1', false);
  one.begin('id-2', 'POST', '/b', true);
  const third = two.begin('id-3', 'PUT', '/c', true);
  two.setDigest(third, Buffer.alloc(32, 0xab));
  one.end(first);
  // The youngest first, and two of the same millisecond in any order.
  expect(journal.take().toSorted((a, b) => a.reqId.localeCompare(b.reqId))).toMatchObject([
    { reqId: 'id-2', method: 'POST', url: '/b', fingerprint: 'POST /b unknown' },
    { reqId: 'id-3', method: 'PUT', url: '/c', fingerprint: `PUT /c ${'ab'.repeat(16)}` },
  ]);
  expect(journal.take()).toEqual([]);
});

test.each([
  ['mapped', true],
  ['in a file', false],
])('%s: an answered request is reported until its access log line is written', (_, isMapped) => {
  const writer = writerAt(1, isMapped);
  const [sent, partly, closed, logged] = ['/1', '/2', '/3', '/4'].map((url) => writer.begin('id', 'GET', url, false));
  writer.endUnlogged(logged as number, 200);
  writer.freeLogged();
  writer.setResponse(sent as number, 201, true);
  writer.setResponse(partly as number, 202, true);
  writer.setResponse(partly as number, 202, false);
  writer.endUnlogged(closed as number, 404);
  const taken = journal.take().map(({ url, answered }) => [url, answered]);
  expect(Object.fromEntries(taken)).toEqual({
    '/1': { status: 201, isOver: false },
    '/2': undefined,
    '/3': { status: 404, isOver: true },
  });
});

test('a reused slot holds nothing of the request before', () => {
  const writer = writerAt(0);
  writer.endUnlogged(writer.begin('first', 'GET', '/', false), 500);
  writer.freeLogged();
  writer.begin('second', 'GET', '/', false);
  expect(journal.take()).toMatchObject([{ reqId: 'second' }]);
  expect(journal.take()).toEqual([]);
});

test('a status that is no status code is recorded, too', () => {
  const writer = writerAt(0);
  writer.setResponse(writer.begin('id', 'GET', '/', false), -1, true);
  expect(journal.take()).toMatchObject([{ reqId: 'id', answered: { isOver: false } }]);
});

test('all answered requests are reported, and at most 256 lost ones', () => {
  const writer = writerAt(0);
  const answered = writer.begin('answered', 'GET', '/', false);
  for (let i = 0; i < 300; i++) writer.begin(`${i}`, 'GET', '/', false);
  writer.endUnlogged(answered, 200);
  const taken = journal.take();
  expect(taken).toHaveLength(257);
  expect(taken[0]).toMatchObject({ reqId: 'answered' });
});

test('without a free slot, the oldest one that waits for its log line is reused', () => {
  const writer = writerAt(0);
  const { slotsPerRegion } = journal.layout;
  for (let i = 0; i < slotsPerRegion; i++) writer.endUnlogged(writer.begin(`${i}`, 'GET', '/', false), 200);
  writer.begin('last', 'GET', '/', false);
  const ids = journal.take().map(({ reqId }) => reqId);
  expect(ids).toContain('last');
  expect(ids).not.toContain('0');
});

test('requests that began before the region was mapped end after it', () => {
  const writer = writerAt(0, false);
  const one = writer.begin('one', 'GET', '/1', false);
  const two = writer.begin('two', 'POST', '/2', true);
  writer.map(mapJournal(journal));
  const three = writer.begin('three', 'GET', '/3', false);
  writer.end(one);
  writer.setDigest(two, Buffer.alloc(32, 1));
  writer.end(three);
  expect(journal.take()).toMatchObject([{ reqId: 'two', fingerprint: `POST /2 ${'01'.repeat(16)}` }]);
});

test('a long URL is truncated, whatever its characters', () => {
  const writer = writerAt(1);
  const url = `/${'ÿ'.repeat(5000)}`;
  writer.begin('x'.repeat(128), 'PROPPATCH', url, false);
  const [request] = journal.take();
  expect(request).toMatchObject({ reqId: 'x'.repeat(128), method: 'PROPPATCH', url: url.slice(0, 320) });
});

test('a fingerprint has the whole URL', () => {
  const writer = writerAt(1);
  for (const length of [100, 600, 5000]) {
    for (const end of ['a', 'b']) writer.begin('id', 'GET', `/${'x'.repeat(length)}${end}`, false);
  }
  expect(new Set(journal.take().map(({ fingerprint }) => fingerprint)).size).toBe(6);
});

test.each([
  ['the only one that waits for the app is alone', ['waits'], ['alone']],
  ['of two, none is', ['waits', 'waits'], [undefined, undefined]],
  ['the one whose handler runs is on the stack', ['waits', 'runs'], [undefined, 'stack']],
  ['the one whose code ends the worker is, too', ['convicted', 'waits'], ['stack', undefined]],
  ['one that has begun is not alone', ['begun'], [undefined]],
  ['one whose client still sends is not alone', ['sends'], [undefined]],
  ['nobody is alone beside one that has begun', ['waits', 'begun'], [undefined, undefined]],
  ['what has ended does not count', ['waits', 'ended'], ['alone', undefined]],
  ['nobody is alone when the code of a request that has ended ends the worker', ['acquitted'], [undefined]],
  ['a worker that has lived on says nothing', ['withdrawn', 'waits'], [undefined, undefined]],
])('evidence: %s', (_, stages, evidence) => {
  const writer = writerAt(0);
  for (const [i, stage] of stages.entries()) {
    const slot = writer.begin(`${i}`, 'GET', '/', stage === 'sends');
    if (stage !== 'runs') writer.setOnStack(slot, false);
    if (stage === 'begun') writer.setBegun(slot);
    if (stage === 'ended') writer.endUnlogged(slot, 200);
    if (stage === 'convicted' || stage === 'withdrawn') writer.convict(slot);
    if (stage === 'acquitted') writer.acquitAll();
    if (stage === 'withdrawn') writer.withdraw();
  }
  const taken = journal.take().toSorted((a, b) => a.reqId.localeCompare(b.reqId));
  expect(taken.map((one) => one.evidence)).toEqual(evidence);
});

test('of several event loops that run handlers, none is known to have ended the process', () => {
  for (const index of [0, 1]) writerAt(index).begin('id', 'GET', '/', false);
  expect(journal.take().map(({ evidence }) => evidence)).toEqual([undefined, undefined]);
});

test('requests beyond the number of slots are not recorded, and later ones are', () => {
  const writer = writerAt(0);
  const { slotsPerRegion } = journal.layout;
  const slots = Array.from({ length: slotsPerRegion + 5 }, (_, i) => writer.begin(`${i}`, 'GET', '/', false));
  for (const slot of slots) writer.end(slot);
  writer.begin('last', 'GET', '/', false);
  expect(journal.take()).toMatchObject([{ reqId: 'last' }]);
});

test('a released region is leased again, without the requests of the thread before', () => {
  const pool = new RegionPool(journal, true);
  const [one, two, three, none] = [pool.lease(), pool.lease(), pool.lease(), pool.lease()];
  expect(none.region).toBeUndefined();
  new JournalWriter(two.region as Region).begin('lost', 'GET', '/', false);
  new JournalWriter(three.region as Region).begin('other', 'GET', '/', false);
  expect(two.release()).toMatchObject([{ reqId: 'lost' }]);
  const again = pool.lease();
  expect(again.region).toEqual(two.region);
  expect(again.release()).toEqual([]);
  expect(one.release()).toEqual([]);
});

test('a journal that cannot be read reports no requests', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-journal-'));
  const fd = openSync(path.join(folder, 'empty'), 'w');
  try {
    expect(takeRequests({ fd, layout: journal.layout })).toEqual([]);
  } finally {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
});

// The app can write anything to the journal, and the supervisor logs it.
test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1e308, 1e308])(
  'a time of %d in a slot is logged as an age of 0',
  (time) => {
    writerAt(0, false).begin('id-1', 'GET', '/', false);
    const begunAt = Buffer.alloc(8);
    begunAt.writeDoubleLE(time);
    writeSync(journal.fd, begunAt, 0, 8, offset.begunAt);
    expect(journal.take()).toMatchObject([{ reqId: 'id-1', ageMs: 0 }]);
  },
);

test('a journal that the worker has truncated reports no requests', () => {
  writerAt(0, false).begin('id-1', 'GET', '/', false);
  ftruncateSync(journal.fd, 0);
  expect(journal.take()).toEqual([]);
});
