// The layout of the memory for --max-inflight: a head for all event loops, then a slot for each. An event loop counts its
// requests in a slot of its own, so that its host can clear what it leaves when it dies.
import { refusals } from './waiting-queue.js';
import { shedderNumbers } from './shedder.js';

/** Event loops that a server can have at the same time, those that drain included. */
export const maxSlots = 65_536;

/** 32-bit words of the head. */
export const head = {
  /** All slots from this one on have never been used. */
  end: 0,
  /** For each reason: refusals that have not been reported, and when the last report was. */
  refused: 1,
  reportedAt: 1 + refusals.length,
  words: 1 + 2 * refusals.length,
} as const;

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
} as const;

const bytesPerWord = 4;
const bytesPerNumber = 8;
const slotWords = 8;
const numbersStart = 64;
const slotsStart = 128;

export const slotBytes = slotWords * bytesPerWord;
export const placesBytes = slotsStart + maxSlots * slotBytes;

/** @returns bytes from the start of the part */
export function slotStart(slot: number): number {
  return slotsStart + slot * slotBytes;
}

/** The part, as an event loop reads and writes it. */
export class SlotTable {
  readonly words: Int32Array;
  /** For the shedder. */
  readonly numbers: Float64Array;

  /** @param start bytes from the start of `memory`; a multiple of 8 */
  constructor(memory: SharedArrayBuffer, start: number) {
    this.words = new Int32Array(memory, start, placesBytes / bytesPerWord);
    this.numbers = new Float64Array(memory, start + numbersStart, shedderNumbers);
  }

  /** The index of a word of a slot. */
  at(slot: number, name: keyof typeof word): number {
    return slotStart(slot) / bytesPerWord + word[name];
  }

  /** Frees what the event loop has left there. Nobody else may use the slot at that time. */
  clear(slot: number): void {
    for (const name of Object.keys(word) as (keyof typeof word)[]) Atomics.store(this.words, this.at(slot, name), 0);
  }
}

const fits = head.words * bytesPerWord <= numbersStart && numbersStart + shedderNumbers * bytesPerNumber <= slotsStart;
if (!fits) throw new Error('the head of the slots is too small');

/** A time as a word; never 0. */
export function timeWord(ms: number): number {
  return (ms | 0) || 1;
}
