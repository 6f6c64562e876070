// The memory of the slots (`layout`), as an event loop reads and writes it.
import {
  bytesPerWord,
  head,
  maxSlots,
  numbersStart,
  placesBytes,
  shedderNumbers,
  slotStart,
  type Word,
  word,
} from './layout.js';

/** Where it is in the memory that all event loops share. */
export interface Part {
  readonly memory: SharedArrayBuffer;
  /** Bytes; a multiple of 8. */
  readonly start: number;
}

export class SlotTable {
  readonly words: Int32Array;
  /** For the shedder. */
  readonly numbers: Float64Array;

  constructor({ memory, start }: Part) {
    this.words = new Int32Array(memory, start, placesBytes / bytesPerWord);
    this.numbers = new Float64Array(memory, start + numbersStart, shedderNumbers);
  }

  /** Notes that the slot is in use, for those that sum all. */
  use(slot: number): void {
    for (let end = this.end; end <= slot; end = this.end) {
      Atomics.compareExchange(this.words, head.end, end, slot + 1);
    }
  }

  /** No slot from this one on has ever been used. */
  get end(): number {
    return Math.min(maxSlots, Atomics.load(this.words, head.end));
  }

  /** The index of a word of a slot. */
  at(slot: number, name: Word): number {
    return slotStart(slot) / bytesPerWord + word[name];
  }
}

/** The clock of `clock.ts`. It is passed, as a module in both files of a worker would be a third file. */
export type Now = () => number;

/** A time as a word; never 0. */
export function timeWord(ms: number): number {
  return ms | 0 || 1;
}
