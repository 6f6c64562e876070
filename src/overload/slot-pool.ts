// Gives each thread of a process a slot, and clears it when the thread has ended. Of the process that hosts them.
import { slotBytes, slotStart } from './layout.js';
import type { SlotRange } from './slot-ranges.js';
import type { Part } from './slots.js';

export class SlotPool {
  readonly #part: Part;
  readonly #free: number[];

  /** @param range the slots of this process */
  constructor(part: Part, { first, count }: SlotRange) {
    this.#part = part;
    this.#free = Array.from({ length: count }, (_, i) => first + i).reverse();
  }

  /** @throws Error if none is free */
  lease(): { readonly slot: number; readonly release: () => void } {
    const slot = this.#free.pop();
    if (slot === undefined) throw new Error('no slot is free for another thread (--max-inflight)');
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
