// A request is known again by its body, whether the record keeps that or a digest of it, and however it arrives.
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { longestBody } from '../../src/inflight/fingerprint.ts';
import { entryBytes, FlightBox } from '../../src/inflight/journal.ts';
import { Recorder, unrecorded } from '../../src/inflight/journal-writer.ts';
import { mapped, type Place, unmapped } from '../../src/inflight/loop-journal.ts';
import { RecordedBody } from '../../src/inflight/recorded-body.ts';

let box: FlightBox;
beforeEach(() => {
  box = new FlightBox(1);
});
afterEach(() => box.close());

const recorderAt = (place: Place | undefined): Recorder => {
  if (!place) throw new Error('no place');
  return new Recorder('buffer' in place ? { memory: Buffer.from(place.buffer, place.at, place.bytes) } : place);
};

/** Bytes that differ from place to place. */
const bytes = (length: number) => Buffer.from(Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff));

/** What it must come to, by the definition: of the first 64 KiB the first 16 bytes of a SHA-256. */
const expected = (body: Buffer) =>
  createHash('sha256').update(body.subarray(0, longestBody)).digest('hex').slice(0, 32);

function inPieces(body: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(body.length / size) }, (_, i) => body.subarray(i * size, (i + 1) * size));
}

const lengths = [0, 1, 100, 255, 256, 700, entryBytes - 1, entryBytes, 5000, longestBody - 1, longestBody, 200_000];
const cases = [mapped, unmapped].flatMap((placesOf) =>
  lengths.flatMap((length) => [1, 64, 4096, 70_000].map((size) => ({ placesOf, length, size }))),
);

test.each(cases.filter(({ length, size }) => length / size < 5000))(
  '$length bytes in pieces of $size, $placesOf.name: the worker and the supervisor know the same body',
  ({ placesOf, length, size }) => {
    const recorder = recorderAt(placesOf(box)(0));
    // Another request has been there, whose body must not shine through.
    const before = recorder.begin('before', 'POST', '/long/target/of/another', true);
    const other = new RecordedBody(recorder, before);
    other.push(Buffer.alloc(800, 0xee));
    other.push(null);
    recorder.end(before);

    const body = bytes(length);
    const entry = recorder.begin('id', 'POST', '/', true);
    const recorded = new RecordedBody(recorder, entry);
    for (const piece of inPieces(body, size)) {
      if (!recorded.isKnown) expect(recorded.digest()).toBe('unknown');
      recorded.push(piece);
    }
    recorded.push(null);
    expect(recorded.digest()).toBe(expected(body));
    expect(box.take()).toMatchObject([{ reqId: 'id', fingerprint: `POST / ${expected(body)}` }]);
  },
);

test('without an entry its digest is known all the same', () => {
  for (const body of [bytes(0), bytes(100), bytes(5000)]) {
    const recorded = new RecordedBody(undefined, unrecorded);
    recorded.push(body);
    recorded.push(null);
    expect(recorded.digest()).toBe(expected(body));
  }
});

test('one that has not arrived whole is unknown, however much is kept of it', () => {
  const recorder = recorderAt(mapped(box)(0));
  const recorded = new RecordedBody(recorder, recorder.begin('id', 'PUT', '/', true));
  recorded.push(bytes(100));
  expect(recorded.digest()).toBe('unknown');
  expect(box.take()).toMatchObject([{ fingerprint: 'PUT / unknown' }]);
});

test('it is told once that it is known', () => {
  const recorded = new RecordedBody(undefined, unrecorded);
  let told = 0;
  recorded.onKnown = () => told++;
  for (const piece of inPieces(bytes(longestBody + 10_000), 10_000)) recorded.push(piece);
  recorded.push(null);
  expect(told).toBe(1);
});
