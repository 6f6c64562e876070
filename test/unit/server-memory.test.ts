// The memory that all event loops of a server share: its layout, and what the supervisor makes of it.
import { expect, test, vi } from 'vitest';
import { purgeLogBytes } from '../../src/cache/purge-log.ts';
import { purgesBytes } from '../../src/cache/purges.ts';
import type { Config } from '../../src/config/config.ts';
import { memoryBytes, partOf, rangeOf } from '../../src/memory/parts.ts';
import { mapServerMemory, ServerMemory } from '../../src/memory/server-memory.ts';
import { reportWords, SharedReport } from '../../src/memory/shared-report.ts';
import { duplicate } from '../../src/os/descriptor.ts';
import { placesBytes } from '../../src/overload/layout.ts';

const names = [
  'hashKey',
  'places',
  'refusals',
  'buckets',
  'state',
  'counters',
  'purges',
  'storeState',
  'purgeLog',
] as const;

test('the parts lie one after another, each on cache lines of its own', () => {
  let end = 0;
  for (const name of names) {
    const { start, bytes } = rangeOf(name);
    expect(start % 64, name).toBe(0);
    expect(start, name).toBeGreaterThanOrEqual(end);
    end = start + bytes;
  }
  expect(memoryBytes).toBeGreaterThanOrEqual(end);
});

test('a part has the bytes that its users expect', () => {
  expect(rangeOf('places').bytes).toBe(placesBytes);
  expect(rangeOf('purges').bytes).toBe(purgesBytes);
  expect(rangeOf('purgeLog').bytes).toBe(purgeLogBytes);
});

const configWith = (rateLimit: Config['limits']['rateLimit']) =>
  ({
    limits: { rateLimit },
    overload: { maxInflight: 0, healthPath: ['/healthz'] as readonly string[] },
    lifecycle: { stopDelay: 0 },
    server: {},
    pool: { unit: 'connection' },
    cache: { cache: 0 },
  }) as Config;
const on = configWith({ count: 1, unit: 's', burst: 1, header: undefined });
const off = configWith(undefined);

test('it is made when an option needs it, and stays the same, also when the option is turned off and on', () => {
  const memory = new ServerMemory();
  expect(memory.descriptorFor(off)).toBeUndefined();
  const fd = memory.descriptorFor(on);
  expect(fd).toBeTypeOf('number');
  expect(memory.descriptorFor(off)).toBeUndefined();
  expect(memory.descriptorFor(on)).toBe(fd);
  memory.close();
});

test('each process that maps it sees what others write, and the key of this server', () => {
  const keys = [1, 2].map(() => {
    const memory = new ServerMemory();
    const fd = memory.descriptorFor(on) as number;
    const [one, other] = [1, 2].map(() => mapServerMemory(duplicate(fd)));
    memory.close();
    const [ours, theirs] = [one, other].map((mapped) => {
      const { memory, start, bytes } = partOf(mapped as SharedArrayBuffer, 'buckets');
      return new Int32Array(memory, start, bytes / 4);
    });
    if (ours) Atomics.store(ours, ours.length - 1, 7);
    expect(theirs?.at(-1)).toBe(7);
    const { start, bytes } = rangeOf('hashKey');
    return Buffer.from(new Uint8Array(one as SharedArrayBuffer, start, bytes)).toString('hex');
  });
  expect(new Set([...keys, '0'.repeat(32)]).size).toBe(3);
});

test('a report is made at once and then rarely, with all that any event loop has counted', () => {
  const words = new Int32Array(new SharedArrayBuffer(4 * (1 + reportWords)));
  const reports: [number, string][] = [];
  let time = 2 ** 31 - 5000; // of which a word cuts off the highest bit during the test
  const [one, other] = [1, 2].map(
    () =>
      new SharedReport<string>(
        words,
        1,
        10_000,
        () => time,
        (...report) => reports.push(report),
      ),
  );
  one?.add('first');
  for (let i = 0; i < 5; i++) other?.add('second');
  time += 9999;
  one?.add('third');
  expect(reports).toEqual([[1, 'first']]);
  time += 1;
  other?.add('fourth');
  expect(reports).toEqual([
    [1, 'first'],
    [7, 'fourth'],
  ]);
});

test('what has been counted since a report is reported an interval later, or when asked', () => {
  vi.useFakeTimers();
  const words = new Int32Array(new SharedArrayBuffer(4 * reportWords));
  const reports: [number, string][] = [];
  const shared = () => new SharedReport<string>(words, 0, 10_000, Date.now, (...report) => reports.push(report));
  const [one, other] = [shared(), shared()];
  try {
    one.add('first');
    one.add('second');
    other.add('third');
    vi.advanceTimersByTime(9999);
    expect(reports).toEqual([[1, 'first']]);
    vi.advanceTimersByTime(1);
    expect(reports.map(([count]) => count)).toEqual([1, 2]);
    other.add('fourth');
    one.flush(); // it has added nothing
    other.flush();
    expect(reports.slice(2)).toEqual([[1, 'fourth']]);
  } finally {
    vi.useRealTimers();
  }
});
