// What each event loop has at the moment, in the slot that its host clears when it has ended (`overload/layout`): so the
// sums are right whatever becomes of workers. Read as the counters are (`totals`).
import { bytesPerWord, head, maxSlots, slotBytes, slotStart, type Word, word } from '../overload/layout.js';

/** By these names the successor of an upgrade finds them. */
const gauges = ['requests', 'connections', 'waiting', 'cacheUnits'] as const satisfies readonly Word[];
export type Gauge = (typeof gauges)[number];
export type GaugeSums = Readonly<Record<Gauge, number>>;

/** Bytes, from the start of the part; plain data. */
export interface GaugesLayout {
  /** Where the number of slots is that have ever been used. */
  readonly endAt: number;
  readonly maxSlots: number;
  readonly firstSlot: number;
  readonly slotBytes: number;
  /** Where they are in a slot. */
  readonly gauges: Readonly<Record<Gauge, number>>;
}

export const gaugesLayout: GaugesLayout = {
  endAt: head.end * bytesPerWord,
  maxSlots,
  firstSlot: slotStart(0),
  slotBytes,
  gauges: forEachGauge((gauge) => word[gauge] * bytesPerWord),
};

/** @param read fills the array with what is at a position in the part of the slots */
export function sumGauges(layout: GaugesLayout, read: (bytes: Uint8Array, position: number) => void): GaugeSums {
  const words = new Int32Array(1);
  read(new Uint8Array(words.buffer), layout.endAt);
  // An app may have written anything.
  const end = Math.min(Math.max(0, words[0] as number), layout.maxSlots, maxSlots);
  const slots = new DataView(new ArrayBuffer(end * layout.slotBytes));
  if (end > 0) read(new Uint8Array(slots.buffer), layout.firstSlot);
  const sum = (at: number): number => {
    let all = 0;
    for (let slot = 0; slot < end; slot++) all += Math.max(0, slots.getInt32(slot * layout.slotBytes + at, true));
    return all;
  };
  // Another version may not have all of them.
  const theirs: Partial<GaugesLayout['gauges']> = layout.gauges;
  return forEachGauge((gauge) => (theirs[gauge] === undefined ? 0 : sum(theirs[gauge])));
}

export function addGauges(a: GaugeSums, b: GaugeSums): GaugeSums {
  return forEachGauge((gauge) => a[gauge] + b[gauge]);
}

function forEachGauge(value: (gauge: Gauge) => number): Readonly<Record<Gauge, number>> {
  return Object.fromEntries(gauges.map((gauge) => [gauge, value(gauge)])) as Record<Gauge, number>;
}
