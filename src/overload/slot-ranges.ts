// Gives each worker process the slots of its event loops, and has them cleared when it has ended, however it did. Of the
// supervisor.
import { ExitCode, StartupError } from '../errors.js';
import { maxSlots, slotBytes, slotStart } from './layout.js';

/** Plain data, for a worker process. */
export interface SlotRange {
  readonly first: number;
  readonly count: number;
}

export interface SlotLease {
  readonly range: SlotRange;
  release(): void;
}

/** Several generations of processes with many threads may drain at the same time. */
const maxPerProcess = maxSlots / 8;

export class SlotRanges {
  readonly #clear: (start: number, bytes: number) => void;
  /** The lowest first. */
  #taken: readonly SlotRange[] = [];
  #end = 0;

  /** No slot from this one on has ever been given out. */
  get end(): number {
    return this.#end;
  }

  /** @param clear writes zeros to the memory of the slots; `start` is in bytes from its start */
  constructor(clear: (start: number, bytes: number) => void) {
    this.#clear = clear;
  }

  /**
   * The lowest slots that are free.
   * @param wanted the process gets fewer if that is more than a process may have
   * @throws StartupError if too few are free
   */
  lease(wanted: number): SlotLease {
    const count = Math.min(wanted, maxPerProcess);
    let first = 0;
    for (const taken of this.#taken) {
      if (first + count <= taken.first) break;
      first = taken.first + taken.count;
    }
    if (first + count > maxSlots) {
      const message = `with --max-inflight or --admin a server can have at most ${maxSlots} processes and threads, which are in use`;
      throw new StartupError(ExitCode.boot, message);
    }
    const range = { first, count };
    this.#end = Math.max(this.#end, first + count);
    this.#taken = [...this.#taken, range].sort((a, b) => a.first - b.first);
    return {
      range,
      release: () => {
        this.#clear(slotStart(first), count * slotBytes);
        this.#taken = this.#taken.filter((one) => one !== range);
      },
    };
  }
}
