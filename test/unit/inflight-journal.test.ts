// The record that survives who keeps it.
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Watchlist } from '../../src/inflight/denylist.ts';
import { at, FlightBox, takeFlights } from '../../src/inflight/journal.ts';
import { Recorder } from '../../src/inflight/journal-writer.ts';
import { mapDeck, mapped, type Place, unmapped } from '../../src/inflight/loop-journal.ts';
import { Berths } from '../../src/inflight/regions.ts';

let box: FlightBox;
beforeEach(() => {
  box = new FlightBox(3);
});
afterEach(() => box.close());

const recorderAt = (place: Place | undefined): Recorder => {
  if (!place) throw new Error('no place');
  return new Recorder('buffer' in place ? { memory: Buffer.from(place.buffer, place.at, place.bytes) } : place);
};

test.each([
  ['mapped', mapped],
  ['unmapped', unmapped],
])('%s: what has begun and not ended is there, and then it is not', (_, placesOf) => {
  const places = placesOf(box);
  const [one, two] = [recorderAt(places(0)), recorderAt(places(2))];
  const first = one.begin('id-1', 'GET', '/a?x=1', false);
  one.begin('id-2', 'POST', '/b', true);
  const third = two.begin('id-3', 'PUT', '/c', true);
  two.seal(third, Buffer.alloc(32, 0xab));
  one.end(first);
  // The youngest first, and two of the same millisecond in any order.
  expect(box.take().toSorted((a, b) => a.reqId.localeCompare(b.reqId))).toMatchObject([
    { reqId: 'id-2', method: 'POST', url: '/b', fingerprint: 'POST /b unknown' },
    { reqId: 'id-3', method: 'PUT', url: '/c', fingerprint: `PUT /c ${'ab'.repeat(16)}` },
  ]);
  expect(box.take()).toEqual([]);
});

test.each([
  ['mapped', mapped],
  ['unmapped', unmapped],
])('%s: what is answered and has no line yet is known, until it has one', (_, placesOf) => {
  const recorder = recorderAt(placesOf(box)(1));
  const [sent, partly, over, settled] = ['/1', '/2', '/3', '/4'].map((url) => recorder.begin('id', 'GET', url, false));
  recorder.endUnsettled(settled as number, 200);
  recorder.settle();
  recorder.answer(sent as number, 201, true);
  recorder.answer(partly as number, 202, true);
  recorder.answer(partly as number, 202, false);
  recorder.endUnsettled(over as number, 404);
  const taken = box.take().map(({ url, answered }) => [url, answered]);
  expect(Object.fromEntries(taken)).toEqual({
    '/1': { status: 201, isOver: false },
    '/2': undefined,
    '/3': { status: 404, isOver: true },
  });
});

test('an entry that is used again has nothing of the request before', () => {
  const recorder = recorderAt(mapped(box)(0));
  recorder.endUnsettled(recorder.begin('first', 'GET', '/', false), 500);
  recorder.settle();
  recorder.begin('second', 'GET', '/', false);
  expect(box.take()).toMatchObject([{ reqId: 'second' }]);
  expect(box.take()).toEqual([]);
});

test('an app can answer with any status', () => {
  const recorder = recorderAt(mapped(box)(0));
  recorder.answer(recorder.begin('id', 'GET', '/', false), -1, true);
  expect(box.take()).toMatchObject([{ reqId: 'id', answered: { isOver: false } }]);
});

test('all that are answered are there, however many are lost', () => {
  const recorder = recorderAt(mapped(box)(0));
  const answered = recorder.begin('answered', 'GET', '/', false);
  for (let i = 0; i < 300; i++) recorder.begin(`${i}`, 'GET', '/', false);
  recorder.endUnsettled(answered, 200);
  const taken = box.take();
  expect(taken).toHaveLength(257);
  expect(taken[0]).toMatchObject({ reqId: 'answered' });
});

test('when all that is free waits for its line, the oldest of these makes room', () => {
  const recorder = recorderAt(mapped(box)(0));
  const { entries } = box.plan;
  for (let i = 0; i < entries; i++) recorder.endUnsettled(recorder.begin(`${i}`, 'GET', '/', false), 200);
  recorder.begin('last', 'GET', '/', false);
  const ids = box.take().map(({ reqId }) => reqId);
  expect(ids).toContain('last');
  expect(ids).not.toContain('0');
});

test('what has begun before it is mapped ends after it', () => {
  const recorder = recorderAt(unmapped(box)(0));
  const one = recorder.begin('one', 'GET', '/1', false);
  const two = recorder.begin('two', 'POST', '/2', true);
  mapDeck({ recorder, watchlist: new Watchlist({ suspects: [], refused: [] }, () => {}) }, box);
  const three = recorder.begin('three', 'GET', '/3', false);
  recorder.end(one);
  recorder.seal(two, Buffer.alloc(32, 1));
  recorder.end(three);
  expect(box.take()).toMatchObject([{ reqId: 'two', fingerprint: `POST /2 ${'01'.repeat(16)}` }]);
});

test('a long target is cut, whatever is in it', () => {
  const recorder = recorderAt(mapped(box)(1));
  const url = `/${'ÿ'.repeat(5000)}`;
  recorder.begin('x'.repeat(128), 'PROPPATCH', url, false);
  const [flight] = box.take();
  expect(flight).toMatchObject({ reqId: 'x'.repeat(128), method: 'PROPPATCH', url: url.slice(0, 320) });
});

test('when it is full, the others are not on record, and it goes on', () => {
  const recorder = recorderAt(mapped(box)(0));
  const { entries } = box.plan;
  const places = Array.from({ length: entries + 5 }, (_, i) => recorder.begin(`${i}`, 'GET', '/', false));
  for (const place of places) recorder.end(place);
  recorder.begin('last', 'GET', '/', false);
  expect(box.take()).toMatchObject([{ reqId: 'last' }]);
});

test('a region that was left is taken again, and has nothing of who was there before', () => {
  const berths = new Berths(box, mapped);
  const [one, two, three, none] = [berths.take(), berths.take(), berths.take(), berths.take()];
  expect(none.place).toBeUndefined();
  recorderAt(two.place).begin('lost', 'GET', '/', false);
  recorderAt(three.place).begin('other', 'GET', '/', false);
  expect(two.leave()).toMatchObject([{ reqId: 'lost' }]);
  const again = berths.take();
  expect(again.place).toEqual(two.place);
  expect(again.leave()).toEqual([]);
  expect(one.leave()).toEqual([]);
});

test('what cannot be read says nothing', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-box-'));
  const fd = openSync(path.join(folder, 'empty'), 'w');
  try {
    expect(takeFlights(fd, box.plan)).toEqual([]);
  } finally {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
});

// The worker can write there what it likes, and the supervisor writes log lines of it.
test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1e308, 1e308])(
  'a time of %d in the record makes no age that a log line could not hold',
  (time) => {
    const { position = 0 } = unmapped(box)(0) as { position?: number };
    recorderAt(unmapped(box)(0)).begin('id-1', 'GET', '/', false);
    const begun = Buffer.alloc(8);
    begun.writeDoubleLE(time);
    writeSync(box.fd, begun, 0, 8, position + at.begun);
    expect(box.take()).toMatchObject([{ reqId: 'id-1', ageMs: 0 }]);
  },
);

test('of a record that its worker has cut off nothing is read', () => {
  recorderAt(unmapped(box)(0)).begin('id-1', 'GET', '/', false);
  ftruncateSync(box.fd, 0);
  expect(box.take()).toEqual([]);
});
