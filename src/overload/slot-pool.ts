// Gives each thread of a process a slot, and clears it when the thread has ended. Of the process that hosts them.
import { type LoopSlot, slotBytes, slotStart } from './layout.js';
import type { SlotRange } from './slot-ranges.js';
import type { Part } from './slots.js';

export interface ThreadSlot {
  readonly slot: LoopSlot;
  release(): void;
}

export class SlotPool {
  readonly #part: Part;
  readonly #free: number[];
  readonly #last: number;

  /** @param range the slots of this process, at least 1 */
  constructor(part: Part, { first, count }: SlotRange) {
    this.#part = part;
    this.#last = first + count - 1;
    this.#free = Array.from({ length: count - 1 }, (_, i) => first + i).reverse();
  }

  /**
   * If no slot is free, as threads that end are many, the thread shares the last one, which counts as exactly: only what a
   * thread leaves there when it dies stays until the process ends.
   */
  lease(): ThreadSlot {
    const index = this.#free.pop();
    if (index === undefined) return { slot: { index: this.#last, isShared: true }, release: () => {} };
    return {
      slot: { index, isShared: false },
      release: () => {
        const { memory, start } = this.#part;
        new Uint8Array(memory, start + slotStart(index), slotBytes).fill(0);
        this.#free.push(index);
      },
    };
  }
}
