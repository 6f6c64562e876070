// What the event loops have counted that share a memory, and what there is of it at the moment; after an upgrade together with
// those of the old server, until they have ended.
import { readSync, writeSync } from 'node:fs';
import { rangeOf } from '../memory/parts.js';
import { addGauges, type GaugeSums, type GaugesLayout, gaugesLayout, sumGauges } from '../metrics/gauges.js';
import { type CountersLayout, layout, usedRows } from '../metrics/layout.js';
import { type CountersFile, type Counts, Totals } from '../metrics/totals.js';
import type { SlotRanges } from '../overload/slot-ranges.js';

/** As a successor gets it. Other versions of mpserve read it, so fields keep their names. */
export interface InheritedCounts {
  /** The memory of the old server, in which its workers count until they end, and where the counters are in it. */
  readonly fd: number;
  readonly start: number;
  readonly layout: CountersLayout;
  /** What servers before it have counted. */
  readonly before: Counts;
  /** What its event loops have at the moment, from these bytes of its memory on; absent from a version without them. */
  readonly gauges?: { readonly start: number; readonly layout: GaugesLayout };
}

export class CountedMemory {
  readonly #fd: number;
  readonly #inherited: InheritedCounts | undefined;
  readonly #totals: Totals;
  readonly #own: CountersFile;
  readonly #sharedCacheBytes: () => number;
  #predecessor: CountersFile | undefined;

  /** @param slots of this server's event loops. @param sharedCacheBytes what they have stored together */
  constructor(
    fd: number,
    slots: Pick<SlotRanges, 'end'>,
    inherited: InheritedCounts | undefined,
    sharedCacheBytes = () => 0,
  ) {
    this.#fd = fd;
    this.#sharedCacheBytes = sharedCacheBytes;
    this.#inherited = inherited;
    this.#totals = new Totals(inherited?.before);
    this.#own = counters(fd, rangeOf('counters').start, layout, () => usedRows(slots.end));
    this.#totals.add(this.#own);
    this.#predecessor =
      inherited && counters(inherited.fd, inherited.start, inherited.layout, () => inherited.layout.rows);
    if (this.#predecessor) this.#totals.add(this.#predecessor);
  }

  /** @param position of the bytes among the counters */
  write(bytes: Uint8Array, position: number): void {
    writeSync(this.#fd, bytes, 0, bytes.length, rangeOf('counters').start + position);
  }

  get counts(): Counts {
    return this.#totals.read();
  }

  get gauges(): GaugeSums {
    const inLoops = sumOf(this.#fd, rangeOf('places').start, gaugesLayout);
    const own = { ...inLoops, cacheUnits: inLoops.cacheUnits + Math.ceil(this.#sharedCacheBytes() / 1024) };
    const gauges = this.#predecessor && this.#inherited?.gauges;
    return gauges ? addGauges(own, sumOf(this.#inherited.fd, gauges.start, gauges.layout)) : own;
  }

  /** In a successor: the old server and its workers have ended, and its memory may be closed. */
  predecessorEnded(): void {
    if (this.#predecessor) this.#totals.end(this.#predecessor);
    this.#predecessor = undefined;
  }

  get inheritable(): InheritedCounts {
    return {
      fd: this.#fd,
      start: rangeOf('counters').start,
      layout,
      before: this.#totals.without(this.#own),
      gauges: { start: rangeOf('places').start, layout: gaugesLayout },
    };
  }
}

function sumOf(fd: number, start: number, theirs: GaugesLayout): GaugeSums {
  return sumGauges(theirs, (bytes, position) => {
    readSync(fd, bytes, 0, bytes.length, start + position);
  });
}

function counters(fd: number, start: number, theirs: CountersLayout, usedRows: () => number): CountersFile {
  return {
    layout: theirs,
    usedRows,
    read: (bytes) => {
      readSync(fd, bytes, 0, bytes.length, start);
    },
  };
}
