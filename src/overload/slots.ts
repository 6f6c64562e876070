// The memory for --max-inflight (`layout`), as an event loop reads and writes it.
import { bytesPerWord, numbersStart, placesBytes, shedderNumbers, slotStart, type Word, word } from './layout.js';

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
