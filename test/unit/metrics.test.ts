// The counters in shared memory, and what the supervisor makes of them.
import { expect, test } from 'vitest';
import { rangeOf } from '../../src/memory/parts.ts';
import { Counters } from '../../src/metrics/counters.ts';
import {
  answeredIndex,
  bucketMs,
  type CountersLayout,
  countersBytes,
  layout,
  methods,
} from '../../src/metrics/layout.ts';
import { type CountersFile, Totals } from '../../src/metrics/totals.ts';

const newMemory = () => ({ memory: new SharedArrayBuffer(countersBytes + 64), start: 64, bytes: countersBytes });

function fileOf({ memory, start }: ReturnType<typeof newMemory>, theirs: CountersLayout = layout): CountersFile {
  return { layout: theirs, read: (bytes) => bytes.set(new Uint8Array(memory, start, bytes.length)) };
}

test('the part of the memory has the bytes of the counters', () => {
  expect(rangeOf('counters').bytes).toBe(countersBytes);
});

test('all rows are added up, beyond 32 bits as well', () => {
  const part = newMemory();
  const totals = new Totals();
  totals.add(fileOf(part));
  for (const loop of [1, 2, 1 + layout.rows]) {
    const counters = new Counters(part, loop);
    for (let i = 0; i < 3; i++) counters.add('sent', 2 ** 32 - 1);
    counters.add('sent', 0);
    counters.add('opened');
  }
  const { sent, opened } = totals.read();
  expect({ sent, opened }).toEqual({ sent: [9 * (2 ** 32 - 1)], opened: [3] });
});

test('requests are counted by method and class, and any other one as other', () => {
  const part = newMemory();
  const totals = new Totals();
  totals.add(fileOf(part));
  const counters = new Counters(part, 0);
  for (const [method, status] of [
    ['GET', 200],
    ['GET', 299],
    ['BREW', 418],
    ['PUT', 999],
    ['POST', 500],
  ] as const)
    counters.answered(method, status);
  const at = (method: (typeof methods)[number], statusClass: number) =>
    totals.read().answered[answeredIndex(methods.indexOf(method), statusClass)];
  expect([at('GET', 1), at('other', 3), at('PUT', 5), at('POST', 4), at('GET', 3)]).toEqual([2, 1, 1, 1, 0]);
});

test('a time is in the first bucket that holds it', () => {
  const part = newMemory();
  const totals = new Totals();
  totals.add(fileOf(part));
  const counters = new Counters(part, 0);
  for (const ms of [0, 1, 1.001, 10_000, 10_001]) counters.observe('duration', ms);
  const { duration } = totals.read();
  expect([duration[0], duration[1], duration[bucketMs.length - 1], duration[bucketMs.length]]).toEqual([2, 1, 1, 1]);
  expect(duration[bucketMs.length + 1]).toBe(20_003_001);
});

test('what servers before this one have counted stays, of other versions as well', () => {
  const [old, own] = [newMemory(), newMemory()];
  const theirs = fileOf(old, { ...layout, groups: { ...layout.groups, cut: undefined as never } });
  const before = new Totals();
  before.add(theirs);
  const inOld = new Counters(old, 5);
  inOld.add('opened', 7);
  inOld.add('cut', 7);

  const totals = new Totals({ ...before.without(theirs), opened: [100], unheard: [1] } as never);
  totals.add(theirs);
  totals.add(fileOf(own));
  new Counters(own, 0).add('opened', 1);
  expect(totals.read().opened).toEqual([108]);
  inOld.add('opened', 2);
  totals.end(theirs);
  inOld.add('opened', 2); // it has ended, so nobody does
  expect(totals.read()).toMatchObject({ opened: [110], cut: [0] });
});

test('a total never falls, whatever is in the memory', () => {
  const part = newMemory();
  const totals = new Totals();
  totals.add(fileOf(part));
  new Counters(part, 0).add('closed', 5);
  expect(totals.read().closed).toEqual([5]);
  new Uint8Array(part.memory).fill(0);
  expect(totals.read().closed).toEqual([5]);
});
