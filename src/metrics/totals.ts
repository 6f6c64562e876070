// What all event loops have counted together, as the supervisor reads it from the descriptor of the memory. It never maps
// the memory, to which an app can write.
import { bytesPerWord, rowBytes, rowCounters, rows, wordsPerCounter } from './layout.js';

const carry = 2 ** 32;

export class Totals {
  readonly #read: (bytes: Uint8Array) => void;
  readonly #bytes = new Uint8Array(rows * rowBytes);
  readonly #words = new Uint32Array(this.#bytes.buffer);
  #totals = new Float64Array(rowCounters);

  /** @param read fills the array with the rows */
  constructor(read: (bytes: Uint8Array) => void) {
    this.#read = read;
  }

  /** One number for each counter of a row. None is ever lower than at the last call. */
  read(): Float64Array {
    this.#read(this.#bytes);
    const totals = new Float64Array(rowCounters);
    for (let row = 0; row < rows; row++) {
      const start = (row * rowBytes) / bytesPerWord;
      for (let i = 0; i < rowCounters; i++) {
        const at = start + i * wordsPerCounter;
        (totals[i] as number) += (this.#words[at] as number) + (this.#words[at + 1] as number) * carry;
      }
    }
    // An event loop may be between its two words.
    this.#totals = totals.map((total, i) => Math.max(total, this.#totals[i] as number));
    return this.#totals;
  }
}
