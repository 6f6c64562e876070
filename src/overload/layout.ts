// The layout of the memory for --max-inflight, and for what --admin shows of the moment: a head for all event loops, then a
// slot for each. An event loop counts its requests in a slot of its own, so that its host can clear what it leaves when it
// dies.

/** Why a request does not reach the app. */
export const refusals = ['queue-full', 'queue-timeout', 'shed', 'draining'] as const;
export type Refusal = (typeof refusals)[number];

/** Event loops that a server can have at the same time, those that drain included. */
export const maxSlots = 65_536;

/** 32-bit words of the head. */
export const head = {
  /** No slot from this one on has ever been used. */
  end: 0,
  /** For each reason, the `reportWords` of its report. */
  reports: 1,
} as const;

/** Numbers of the head, after its words: those of CoDel, then one of the shedder. */
export const codelNumbers = 5;
export const shedderNumbers = codelNumbers + 1;

/** 32-bit words of a slot. Times are whole milliseconds of `clock.ts`, of which the higher bits are cut off. */
export const word = {
  /** Requests in the app. */
  inFlight: 0,
  /** Requests that wait. */
  waiting: 1,
  /** Since when the oldest one waits, without and with priority; 0 if none does. */
  since: 2,
  prioritySince: 3,
  /** By when the event loop looks for a free place again. */
  dueBy: 4,
  /** For --admin: requests in flight, those that wait included, and open connections. */
  requests: 5,
  connections: 6,
  /** For --cache: what it has stored (KiB). */
  cacheUnits: 7,
} as const;
export type Word = keyof typeof word;

/** The slot of an event loop; plain data. */
export interface LoopSlot {
  readonly index: number;
  /** With other event loops of its process. */
  readonly isShared: boolean;
}

export const bytesPerWord = 4;
/** On the cache line of the processor after that of the words. */
export const numbersStart = 64;
const slotsStart = 128;
export const slotBytes = 8 * bytesPerWord;

export const placesBytes = slotsStart + maxSlots * slotBytes;

/** @returns bytes from the start of the memory */
export function slotStart(slot: number): number {
  return slotsStart + slot * slotBytes;
}
