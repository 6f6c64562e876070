// The regions of a journal: where they are in memory or in the file, and which of them the threads of a process use.
import { mapSharedMemory } from '../os/shared-memory.js';
import type { LostRequest } from '../reports/report.js';
import { type JournalFile, journalBytes, regionBytes, takeRequests } from './journal.js';

export interface MappedRegion {
  readonly buffer: SharedArrayBuffer;
  readonly start: number;
  readonly bytes: number;
}

export interface FileRegion {
  readonly fd: number;
  readonly position: number;
  readonly bytes: number;
}

/** Plain data, for another process or thread. */
export type Region = MappedRegion | FileRegion;

/** @returns the region of an index from 0; undefined beyond the last */
export type RegionLookup<R extends Region = Region> = (index: number) => R | undefined;

/** Maps the journal into this process. @throws SystemCallError (ENOMEM, EBADF) */
export function mappedRegions({ fd, layout }: JournalFile): RegionLookup<MappedRegion> {
  const buffer = mapSharedMemory(fd, journalBytes(layout));
  const bytes = regionBytes(layout);
  return (index) => (index < layout.regions ? { buffer, start: index * bytes, bytes } : undefined);
}

/** Without mapping: each write is a system call, and the first one costs no more than the others. */
export function fileRegions({ fd, layout }: JournalFile): RegionLookup<FileRegion> {
  const bytes = regionBytes(layout);
  return (index) => (index < layout.regions ? { fd, position: index * bytes, bytes } : undefined);
}

/** A region while a thread uses it. */
export interface RegionLease {
  /** undefined if none was free: the thread keeps no journal. */
  readonly region: Region | undefined;
  /** Frees the region of a thread that has ended. @returns the requests that were in flight */
  release(): readonly LostRequest[];
}

const noRegion: RegionLease = { region: undefined, release: () => [] };

export class RegionPool {
  readonly #journal: JournalFile | undefined;
  readonly #regionAt: RegionLookup;
  readonly #free: number[];

  /** @param journal undefined for a pool without regions */
  constructor(journal: JournalFile | undefined, regionsOf: (journal: JournalFile) => RegionLookup) {
    this.#journal = journal;
    this.#regionAt = journal ? regionsOf(journal) : () => undefined;
    this.#free = Array.from({ length: journal?.layout.regions ?? 0 }, (_, i) => i).reverse();
  }

  lease(): RegionLease {
    const [journal, index] = [this.#journal, this.#free.pop()];
    if (!journal || index === undefined) return noRegion;
    return {
      region: this.#regionAt(index),
      release: () => {
        this.#free.push(index);
        return takeRequests(journal, index, index + 1);
      },
    };
  }
}
