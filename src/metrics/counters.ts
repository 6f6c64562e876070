// The counters of an event loop (`layout`). Others may count in the same row at the same time.
import { bytesPerWord, type Group, rangeOf, rowBytes, rows, wordsPerCounter } from './layout.js';

/** Where it is in the memory that all event loops share. */
export interface Part {
  readonly memory: SharedArrayBuffer;
  /** Bytes; a multiple of 4. */
  readonly start: number;
}

const carry = 2 ** 32;

export class Counters {
  readonly #words: Int32Array;

  /** @param loop a number of the event loop, any integer from 0 */
  constructor({ memory, start }: Part, loop: number) {
    this.#words = new Int32Array(memory, start + (loop % rows) * rowBytes, rowBytes / bytesPerWord);
  }

  /** @param index in its group. @param more an integer from 0 to 2 ** 31 - 1 */
  add(group: Group, index: number, more = 1): void {
    const at = (rangeOf(group).first + index) * wordsPerCounter;
    const before = Atomics.add(this.#words, at, more) >>> 0;
    if (before + more >= carry) Atomics.add(this.#words, at + 1, 1);
  }
}
