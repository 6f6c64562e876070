// The last purges of operators, by their slots in `purges`, in memory that all event loops share: a store that other machines
// read is told of them by the event loops, as the supervisor does not speak to it. Only the supervisor writes to it.
import type { Part } from '../memory/parts.js';

const bytesPerWord = 4;
/** How many purges there have been, then their slots, in turn. */
const entries = 255;
export const purgeLogBytes = (1 + entries) * bytesPerWord;

/** What the supervisor writes, in this order. @param nth from 1 */
export function purgeLogWrites(
  nth: number,
  slot: number,
): readonly { readonly start: number; readonly bytes: Uint8Array }[] {
  return [
    { start: (1 + (nth % entries)) * bytesPerWord, bytes: new Uint8Array(Int32Array.of(slot).buffer) },
    { start: 0, bytes: new Uint8Array(Int32Array.of(nth).buffer) },
  ];
}

export class PurgeLog {
  readonly #words: Int32Array;
  #seen: number;

  constructor({ memory, start }: Part) {
    this.#words = new Int32Array(memory, start, 1 + entries);
    // Those of before it began: the event loop that should have told the store of them may have died.
    this.#seen = Math.max(0, Atomics.load(this.#words, 0) - entries + 1);
  }

  /** The slots of the purges since the last call; `undefined` if there were more than are kept. */
  take(): readonly number[] | undefined {
    const count = Atomics.load(this.#words, 0);
    const from = this.#seen;
    if (count === from) return none;
    this.#seen = count;
    if (count - from >= entries || count < from) return undefined;
    return Array.from({ length: count - from }, (_, i) => this.#words[1 + ((from + 1 + i) % entries)] as number);
  }
}

const none: readonly number[] = [];
