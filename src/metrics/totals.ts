// What all event loops have counted together, as the supervisor reads it from the descriptor of their memory. It never maps
// the memory, to which an app can write. After an upgrade the old server's event loops go on counting until they end: their
// memory is read, too.
import {
  bytesPerWord,
  type CountersLayout,
  type Group,
  type GroupRange,
  layout,
  rowCounters,
  wordsPerCounter,
} from './layout.js';

/** Counters of one server. */
export interface CountersFile {
  readonly layout: CountersLayout;
  /** How many of the rows are used, from the first one on; at most those of the layout. */
  readonly usedRows: () => number;
  /** Fills the array with the first rows. @throws SystemCallError or an error of the file system */
  read(bytes: Uint8Array): void;
}

/** By group, each with as many numbers as it has counters. */
export type Counts = Readonly<Record<Group, readonly number[]>>;

const carry = 2 ** 32;

export class Totals {
  /** Of files that are read no more. */
  readonly #ended = new Float64Array(rowCounters);
  readonly #files = new Map<CountersFile, Float64Array>();

  /** @param before what servers before this one have counted */
  constructor(before?: Partial<Counts>) {
    for (const [name, numbers] of Object.entries(before ?? {})) {
      const range = layout.groups[name as Group];
      if (range) this.#ended.set((numbers ?? []).slice(0, range.count), range.first);
    }
  }

  add(file: CountersFile): void {
    this.#files.set(file, new Float64Array(rowCounters));
  }

  /** Its event loops have ended. */
  end(file: CountersFile): void {
    this.#update(file);
    const counted = this.#files.get(file);
    this.#files.delete(file);
    counted?.forEach((count, i) => {
      (this.#ended[i] as number) += count;
    });
  }

  /** None is ever lower than at the last call. */
  read(): Counts {
    return this.without(undefined);
  }

  /** What is in other files than this one. */
  without(one: CountersFile | undefined): Counts {
    const sum = Float64Array.from(this.#ended);
    for (const file of this.#files.keys()) {
      if (file === one) continue;
      this.#update(file);
      this.#files.get(file)?.forEach((count, i) => {
        (sum[i] as number) += count;
      });
    }
    const counts = Object.entries(layout.groups).map(([name, { first, count }]) => [
      name,
      [...sum.subarray(first, first + count)],
    ]);
    return Object.fromEntries(counts);
  }

  #update(file: CountersFile): void {
    const last = this.#files.get(file);
    if (!last) return;
    const { rowBytes, groups } = file.layout;
    const rows = file.usedRows();
    const bytes = new Uint8Array(rows * rowBytes);
    file.read(bytes);
    const words = new Uint32Array(bytes.buffer);
    const counted = new Float64Array(rowCounters);
    for (const [name, { first, count }] of Object.entries(layout.groups)) {
      // Another version may have fewer counters, or more.
      const theirs: GroupRange | undefined = groups[name as Group];
      for (let i = 0; i < Math.min(count, theirs?.count ?? 0); i++) {
        const at = ((theirs as GroupRange).first + i) * wordsPerCounter;
        for (let row = 0; row < rows; row++) {
          const start = (row * rowBytes) / bytesPerWord + at;
          (counted[first + i] as number) += (words[start] as number) + (words[start + 1] as number) * carry;
        }
      }
    }
    // An event loop may be between its two words, and an app may have written anything.
    counted.forEach((count, i) => {
      last[i] = Math.max(last[i] as number, count);
    });
  }
}
