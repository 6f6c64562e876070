// Gives each thread of a process a slot, and clears it when the thread has ended. Of the process that hosts them.
import { slotBytes, slotStart } from './layout.js';
import type { SlotRange } from './slot-ranges.js';
import type { Part } from './slots.js';

export interface ThreadSlot {
  readonly slot: number;
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
    const slot = this.#free.pop();
    if (slot === undefined) return { slot: this.#last, release: () => {} };
    return {
      slot,
      release: () => {
        const { memory, start } = this.#part;
        new Uint8Array(memory, start + slotStart(slot), slotBytes).fill(0);
        this.#free.push(slot);
      },
    };
  }
}
