// The counters in shared memory, and what the supervisor makes of them.
import { expect, test } from 'vitest';
import { policies } from '../../src/balance/policy.ts';
import type { WorkerStatus } from '../../src/control/protocol.ts';
import { rangeOf } from '../../src/memory/parts.ts';
import { Counters } from '../../src/metrics/counters.ts';
import type { Definition, Observed } from '../../src/metrics/definition.ts';
import { definitions } from '../../src/metrics/definitions.ts';
import { addGauges, gaugesLayout, sumGauges } from '../../src/metrics/gauges.ts';
import {
  answeredIndex,
  bucketMs,
  type CountersLayout,
  countersBytes,
  layout,
  methods,
  placingPolicies,
  refusalReasons,
  rowOf,
  usedRows,
} from '../../src/metrics/layout.ts';
import { restartsOf } from '../../src/metrics/restarts.ts';
import { type CountersFile, Totals } from '../../src/metrics/totals.ts';
import { type LoopSlot, refusals, slotStart } from '../../src/overload/layout.ts';
import { SlotTable } from '../../src/overload/slots.ts';
import type { LoopView } from '../../src/scoreboard/loop-view.ts';
import { loopOf } from '../helpers/dashboard.ts';

const newMemory = () => ({ memory: new SharedArrayBuffer(countersBytes + 64), start: 64, bytes: countersBytes });

const slotOf = (index: number): LoopSlot => ({ index, isShared: false });

function fileOf({ memory, start }: ReturnType<typeof newMemory>, theirs: CountersLayout = layout): CountersFile {
  return {
    layout: theirs,
    usedRows: () => theirs.rows,
    read: (bytes) => bytes.set(new Uint8Array(memory, start, bytes.length)),
  };
}

test('the part of the memory has the bytes of the counters', () => {
  expect(rangeOf('counters').bytes).toBe(countersBytes);
});

test('all rows are added up, beyond 32 bits as well', () => {
  const part = newMemory();
  const totals = new Totals();
  totals.add(fileOf(part));
  for (const slot of [slotOf(0), slotOf(254), slotOf(255), slotOf(256), { index: 1, isShared: true }, undefined]) {
    const counters = new Counters(part, slot);
    for (let i = 0; i < 3; i++) counters.add('sent', 2 ** 32 - 1);
    counters.add('sent', 0);
    counters.add('opened');
  }
  const { sent, opened } = totals.read();
  expect({ sent, opened }).toEqual({ sent: [18 * (2 ** 32 - 1)], opened: [6] });
});

test('the rows that are used are those of the slots that have been given out', () => {
  expect(usedRows(0)).toBeGreaterThan(rowOf(undefined));
  for (const slots of [1, 3, 255]) {
    expect(usedRows(slots)).toBe(rowOf(slotOf(slots - 1)) + 1);
    expect(new Set(Array.from({ length: slots }, (_, i) => rowOf(slotOf(i)))).size).toBe(slots);
  }
  expect([usedRows(256), usedRows(65_536)]).toEqual([layout.rows, layout.rows]);
  expect(rowOf(slotOf(255))).toBe(rowOf(undefined));
});

test('requests are counted by method and class, and any other one as other', () => {
  const part = newMemory();
  const totals = new Totals();
  totals.add(fileOf(part));
  const counters = new Counters(part, slotOf(0));
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
  const counters = new Counters(part, slotOf(0));
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
  const inOld = new Counters(old, slotOf(5));
  inOld.add('opened', 7);
  inOld.add('cut', 7);

  const totals = new Totals({ ...before.without(theirs), opened: [100], unheard: [1] } as never);
  totals.add(theirs);
  totals.add(fileOf(own));
  new Counters(own, slotOf(0)).add('opened', 1);
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
  new Counters(part, slotOf(0)).add('opened', 5);
  expect(totals.read().opened).toEqual([5]);
  new Uint8Array(part.memory).fill(0);
  expect(totals.read().opened).toEqual([5]);
});

test('the lists of labels have what the server has', () => {
  expect(placingPolicies).toEqual(policies);
  expect(refusalReasons).toEqual(expect.arrayContaining([...refusals]));
  const names = definitions.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const { name, type } of definitions) expect(name.endsWith('_total')).toBe(type === 'counter');
});

test('what there is at the moment is the sum of the slots, and goes with a slot that is cleared', () => {
  const bytes = new Uint8Array(new SharedArrayBuffer(rangeOf('places').bytes));
  const table = new SlotTable({ memory: bytes.buffer as SharedArrayBuffer, start: 0 });
  const sums = () =>
    sumGauges(gaugesLayout, (into, position) => into.set(bytes.subarray(position, position + into.length)));
  expect(sums()).toEqual({ requests: 0, connections: 0, waiting: 0, cacheUnits: 0 });
  for (const slot of [0, 7]) {
    table.use(slot);
    Atomics.add(table.words, table.at(slot, 'requests'), 2);
    Atomics.add(table.words, table.at(slot, 'connections'), 3);
  }
  Atomics.add(table.words, table.at(7, 'waiting'), 1);
  Atomics.store(table.words, table.at(7, 'cacheUnits'), 9);
  expect(sums()).toEqual({ requests: 4, connections: 6, waiting: 1, cacheUnits: 9 });
  expect(addGauges(sums(), sums())).toEqual({ requests: 8, connections: 12, waiting: 2, cacheUnits: 18 });
  bytes.fill(0, slotStart(7), slotStart(8));
  expect(sums()).toEqual({ requests: 2, connections: 3, waiting: 0, cacheUnits: 0 });
  // An app can write anything there.
  Atomics.store(table.words, table.at(0, 'requests'), -5);
  Atomics.store(table.words, 0, 2 ** 31 - 1);
  expect(sums()).toEqual({ requests: 0, connections: 3, waiting: 0, cacheUnits: 0 });
});

const worker = (number: number, more: Partial<WorkerStatus> = {}): WorkerStatus => ({
  worker: number,
  pid: 1,
  generation: 1,
  stage: 'ready',
  requests: 0,
  loops: [],
  ...more,
});

function samplesOf(name: string, workers: readonly WorkerStatus[]): Record<string, number> {
  const definition = definitions.find((one) => one.name === name) as Definition;
  const samples = definition.samples({ workers } as unknown as Observed);
  return Object.fromEntries(samples.map(({ labels = {}, value }) => [Object.values(labels).join(' '), value]));
}

test('workers beyond a number share a label, as do two with the same number', () => {
  const workers = [1, 1, 64, 65, 9999].map((number) => worker(number, { memoryBytes: 10, load: number / 10_000 }));
  expect(samplesOf('mpserve_worker_memory_bytes', workers)).toEqual({ 1: 20, 64: 10, other: 20 });
  expect(samplesOf('mpserve_worker_load', workers)).toMatchObject({ other: 0.9999 });
  expect(samplesOf('mpserve_worker_cpu_seconds', workers)).toEqual({});
});

test('how old what is known of an event loop is', () => {
  const workers = [
    worker(1, { loops: [loopOf('idle')] }),
    worker(2, { loops: [loopOf('blocked', { staleMs: 4200 })] }),
    worker(70, { loops: [loopOf('blocked', { staleMs: 100 })] }),
    worker(71, { loops: [loopOf('blocked', { staleMs: 300 })] }),
  ];
  const stale = samplesOf('mpserve_event_loop_stale_seconds', workers);
  expect(stale).toEqual({ '1 0': 0, '2 0': 4.2, 'other 0': 0.3 });
});

test('starts and exits are those of the totals, without the causes that have not occurred', () => {
  const part = newMemory();
  const totals = new Totals();
  totals.add(fileOf(part));
  expect(restartsOf(totals.read())).toEqual({ starts: { processes: 0, threads: 0 }, exits: [] });
  const counters = new Counters(part, slotOf(3));
  for (let i = 0; i < 3; i++) counters.started('thread');
  counters.started('process');
  counters.ended('process', 'recycled');
  counters.ended('process', 'boot');
  counters.ended('thread', 'boot');
  counters.ended('thread', 'boot');
  expect(restartsOf(totals.read())).toEqual({
    starts: { processes: 1, threads: 3 },
    exits: [
      { unit: 'process', cause: 'recycled', count: 1 },
      { unit: 'process', cause: 'boot', count: 1 },
      { unit: 'thread', cause: 'boot', count: 2 },
    ],
  });
});

test('event loops are named by their place, and have no samples before they have told anything', () => {
  const loop = (tid: number, utilization: number, lagMs?: LoopView['lagMs']): LoopView =>
    loopOf('idle', { tid, utilization, heapBytes: 100, ...(lagMs && { lagMs }) });
  const lag = { p50: 1, p99: 20 };
  const workers = [
    worker(1, { loops: [loop(0, 0.5, lag)] }),
    worker(2, { loops: [loop(1007, 0.7), loop(12, 0.1)] }),
    worker(70, { loops: [loop(3, 0.2)] }),
    worker(71, { loops: [loop(4, 0.3)] }),
  ];
  const ratio = 'mpserve_event_loop_utilization_ratio';
  expect(samplesOf(ratio, workers)).toEqual({ '1 0': 0.5, '2 1': 0.1, '2 2': 0.7, 'other 1': 0.3 });
  expect(samplesOf('mpserve_event_loop_lag_seconds', workers)).toEqual({ '1 0 0.5': 0.001, '1 0 0.99': 0.02 });
  expect(samplesOf('mpserve_heap_bytes', workers)).toMatchObject({ '1 0': 100, 'other 1': 200 });
  expect(samplesOf(ratio, [worker(1)])).toEqual({});
});
