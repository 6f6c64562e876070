// What the event loops of a memory have counted of the store of their cache.
import { partOf } from '../../src/memory/parts.ts';
import { cacheStoreCounters, layout } from '../../src/metrics/layout.ts';
import { Totals } from '../../src/metrics/totals.ts';

export type StoreErrors = Readonly<Record<(typeof cacheStoreCounters)[number], number>>;

export function storeErrors(memory: SharedArrayBuffer): StoreErrors {
  const { start, bytes } = partOf(memory, 'counters');
  const totals = new Totals();
  totals.add({ layout, usedRows: () => layout.rows, read: (all) => all.set(new Uint8Array(memory, start, bytes)) });
  const { cacheStore } = totals.read();
  return Object.fromEntries(cacheStoreCounters.map((name, i) => [name, cacheStore[i] ?? 0])) as StoreErrors;
}
