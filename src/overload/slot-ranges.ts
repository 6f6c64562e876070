// Gives each worker process the slots of its event loops, and clears them when it has ended, however it did. Of the
// supervisor, which writes to the memory by its descriptor.
import { writeSync } from 'node:fs';
import { ExitCode, StartupError } from '../errors.js';
import { maxSlots, slotBytes, slotStart } from './slots.js';

/** Plain data, for a worker process. */
export interface SlotRange {
  readonly first: number;
  readonly count: number;
}

export interface SlotLease {
  readonly range: SlotRange;
  /** Clears the slots. */
  release(): void;
}

export class SlotRanges {
  /** The lowest first. */
  #taken: readonly SlotRange[] = [];

  /**
   * The lowest slots that are free.
   * @param fd of the memory, which stays open until the release. @param start of the part, in bytes
   * @throws StartupError if too few are free
   */
  lease(fd: number, start: number, count: number): SlotLease {
    let first = 0;
    for (const range of this.#taken) {
      if (first + count <= range.first) break;
      first = range.first + range.count;
    }
    if (first + count > maxSlots) {
      const message = `with --max-inflight, all workers together can have ${maxSlots} threads or processes; use a lower --max-connections`;
      throw new StartupError(ExitCode.boot, message);
    }
    const range = { first, count };
    this.#taken = [...this.#taken, range].sort((a, b) => a.first - b.first);
    return {
      range,
      release: () => {
        this.#taken = this.#taken.filter((one) => one !== range);
        writeSync(fd, Buffer.alloc(count * slotBytes), 0, count * slotBytes, start + slotStart(first));
      },
    };
  }
}
