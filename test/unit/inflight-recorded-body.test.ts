// The worker and the supervisor find the same digest for a body, in the slot or not, however the body arrives.
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { maxBodyBytes } from '../../src/inflight/fingerprint.ts';
import { Journal, slotBytes } from '../../src/inflight/journal.ts';
import { JournalWriter, noSlot } from '../../src/inflight/journal-writer.ts';
import { RecordedBody } from '../../src/inflight/recorded-body.ts';
import { mapJournal, type Region, regionAt } from '../../src/inflight/regions.ts';

let journal: Journal;
beforeEach(() => {
  journal = new Journal(1);
});
afterEach(() => journal.close());

const openWriter = (isMapped = true): JournalWriter =>
  new JournalWriter(regionAt(journal, 0, isMapped ? mapJournal(journal) : undefined) as Region);

/** Bytes that differ with their position. */
const bytes = (length: number) => Buffer.from(Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff));

/** By definition: the first 16 bytes of the SHA-256 of the first 64 KiB. */
const expected = (body: Buffer) =>
  createHash('sha256').update(body.subarray(0, maxBodyBytes)).digest('hex').slice(0, 32);

function inPieces(body: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(body.length / size) }, (_, i) => body.subarray(i * size, (i + 1) * size));
}

const lengths = [0, 1, 100, 255, 256, 700, slotBytes - 1, slotBytes, 5000, maxBodyBytes - 1, maxBodyBytes, 200_000];
const cases = [true, false].flatMap((isMapped) =>
  lengths.flatMap((length) => [1, 64, 4096, 70_000].map((size) => ({ isMapped, length, size }))),
);

test.each(cases.filter(({ length, size }) => length / size < 5000))(
  '$length bytes in pieces of $size, mapped: $isMapped: the worker and the supervisor find the same digest',
  ({ isMapped, length, size }) => {
    const writer = openWriter(isMapped);
    // The slot was used by a request with a body, which must not show.
    const before = writer.begin('before', 'POST', '/long/target/of/another', true);
    const other = new RecordedBody(writer, before);
    other.push(Buffer.alloc(800, 0xee));
    other.push(null);
    writer.end(before);

    const body = bytes(length);
    const slot = writer.begin('id', 'POST', '/', true);
    const recorded = new RecordedBody(writer, slot);
    for (const piece of inPieces(body, size)) {
      if (!recorded.isKnown) expect(recorded.digest()).toBe('unknown');
      recorded.push(piece);
    }
    recorded.push(null);
    expect(recorded.digest()).toBe(expected(body));
    expect(journal.take()).toMatchObject([{ reqId: 'id', fingerprint: `POST / ${expected(body)}` }]);
  },
);

test('without a slot the body is digested all the same', () => {
  for (const body of [bytes(0), bytes(100), bytes(5000)]) {
    const recorded = new RecordedBody(undefined, noSlot);
    recorded.push(body);
    recorded.push(null);
    expect(recorded.digest()).toBe(expected(body));
  }
});

test('a body that has arrived in part is unknown', () => {
  const writer = openWriter();
  const recorded = new RecordedBody(writer, writer.begin('id', 'PUT', '/', true));
  recorded.push(bytes(100));
  expect(recorded.digest()).toBe('unknown');
  expect(journal.take()).toMatchObject([{ fingerprint: 'PUT / unknown' }]);
});

test('onKnown is called once', () => {
  const recorded = new RecordedBody(undefined, noSlot);
  let calls = 0;
  recorded.onKnown = () => calls++;
  for (const piece of inPieces(bytes(maxBodyBytes + 10_000), 10_000)) recorded.push(piece);
  recorded.push(null);
  expect(calls).toBe(1);
});

test('what arrives after the request has ended does not change the slot, which may be another request’s', () => {
  const writer = openWriter();
  const slot = writer.begin('first', 'POST', '/', true);
  const recorded = new RecordedBody(writer, slot);
  recorded.push(bytes(100));
  recorded.detach();
  writer.end(slot);
  expect(writer.begin('second', 'GET', '/', false)).toBe(slot);
  recorded.push(bytes(100));
  recorded.push(null);
  expect(journal.take()).toMatchObject([{ reqId: 'second', fingerprint: 'GET / none' }]);
});
