// The regions of a journal: where they are in the file or in memory, and which of them the threads of a process use.
import { mapSharedMemory } from '../os/shared-memory.js';
import type { LostRequest, RequestInFlight } from '../reports/report.js';
import { type JournalFile, journalBytes, readInFlight, regionBytes, takeRequests } from './journal.js';

/** Plain data, for another process or thread. */
export interface Region {
  /** The descriptor of the journal, or the memory that it is mapped to. */
  readonly journal: number | SharedArrayBuffer;
  readonly start: number;
  readonly bytes: number;
}

/**
 * @param memory of `mapJournal`. By default the region is not mapped: each write is a system call, and the first one costs
 * no more than the others
 * @returns undefined beyond the last region
 */
export function regionAt({ fd, layout }: JournalFile, index: number, memory?: SharedArrayBuffer): Region | undefined {
  if (index >= layout.regions) return undefined;
  const bytes = regionBytes(layout);
  return { journal: memory ?? fd, start: index * bytes, bytes };
}

/** Maps the journal into this process. @throws SystemCallError (ENOMEM, EBADF) */
export function mapJournal({ fd, layout }: JournalFile): SharedArrayBuffer {
  return mapSharedMemory(fd, journalBytes(layout));
}

/** A region while a thread uses it. */
export interface RegionLease {
  /** undefined if none was free: the thread keeps no journal. */
  readonly region: Region | undefined;
  /** The unanswered requests of the thread, the oldest first. */
  inFlight(): readonly RequestInFlight[];
  /** Frees the region of a thread that has ended. @returns the requests that were in flight */
  release(): readonly LostRequest[];
}

const noRegion: RegionLease = { region: undefined, inFlight: () => [], release: () => [] };

export class RegionPool {
  readonly #journal: JournalFile;
  readonly #memory: SharedArrayBuffer | undefined;
  readonly #free: number[];

  constructor(journal: JournalFile, isMapped: boolean) {
    this.#journal = journal;
    this.#memory = isMapped ? mapJournal(journal) : undefined;
    this.#free = Array.from({ length: journal.layout.regions }, (_, i) => i).reverse();
  }

  lease(): RegionLease {
    const index = this.#free.pop();
    if (index === undefined) return noRegion;
    return {
      region: regionAt(this.#journal, index, this.#memory),
      inFlight: () => readInFlight(this.#journal, index, index + 1),
      release: () => {
        this.#free.push(index);
        return takeRequests(this.#journal, index, index + 1);
      },
    };
  }
}
