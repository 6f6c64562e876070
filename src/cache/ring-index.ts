// Where the newest record of each key is in the ring: a table of buckets of eight entries, each a 64-bit word with a position
// and a part of the hash. An entry is changed by one compare-and-exchange, with which a record is published.
import type { KeyHash } from './key-hash.js';
import { entriesPerBucket, type SharedLayout } from './shared-layout.js';

const tagBits = 24;
const tagMask = 2 ** tagBits - 1;
/** Positions in the upper half of an entry count this many units. */
const perHigh = 2 ** (32 - tagBits);

/** One that was found, which has to be the same when it is changed. */
export interface IndexEntry {
  readonly at: number;
  /** Of its record; -1 if it is empty. */
  readonly position: number;
  readonly tag: number;
}

export class RingIndex {
  readonly #entries: BigInt64Array;
  /** The same as halves: reading these takes no BigInt. What an entry says is checked with its record. */
  readonly #words: Int32Array;
  readonly #buckets: number;

  constructor(memory: SharedArrayBuffer, { indexAt, indexBuckets }: SharedLayout) {
    this.#entries = new BigInt64Array(memory, indexAt, indexBuckets * entriesPerBucket);
    this.#words = new Int32Array(memory, indexAt, indexBuckets * entriesPerBucket * 2);
    this.#buckets = indexBuckets;
  }

  /** Of all entries that may be of the key. @returns -1 if there is none */
  newest({ a, b }: KeyHash): number {
    const first = this.#first(a);
    const tag = tagOf(b);
    let newest = -1;
    for (let at = first; at < first + entriesPerBucket; at++) {
      if ((Atomics.load(this.#words, 2 * at) & tagMask) === tag) newest = Math.max(newest, this.#position(at));
    }
    return newest;
  }

  /** Entries that may be of the key, the newest first. */
  find({ a, b }: KeyHash): readonly IndexEntry[] {
    const first = this.#first(a);
    const tag = tagOf(b);
    const found: IndexEntry[] = [];
    for (let at = first; at < first + entriesPerBucket; at++) {
      if ((Atomics.load(this.#words, 2 * at) & tagMask) === tag) found.push({ at, position: this.#position(at), tag });
    }
    return found.length > 1 ? found.sort((one, other) => other.position - one.position) : found;
  }

  /**
   * @param entry of the key; undefined if it has none
   * @param isWhole whether a record is still there: the entry of one that is not is free
   * @returns the position that had to make room, if any; `false` if another event loop has changed the entry
   */
  publish(
    hash: KeyHash,
    entry: IndexEntry | undefined,
    position: number,
    isWhole: (position: number) => boolean,
  ): { readonly evicted: number | undefined } | false {
    const before = entry ?? this.#place(hash.a, isWhole);
    const raw = rawOf(before);
    const next = rawOf({ position, tag: tagOf(hash.b) });
    if (Atomics.compareExchange(this.#entries, before.at, raw, next) !== raw) return false;
    return { evicted: entry === undefined && isWhole(before.position) ? before.position : undefined };
  }

  /** @returns whether it was there */
  remove(entry: IndexEntry): boolean {
    const raw = rawOf(entry);
    return Atomics.compareExchange(this.#entries, entry.at, raw, 0n) === raw;
  }

  /** The first free entry of a bucket, else the oldest: two event loops that add the same key choose the same one. */
  #place(a: number, isWhole: (position: number) => boolean): IndexEntry {
    const first = this.#first(a);
    let oldest: IndexEntry | undefined;
    for (let at = first; at < first + entriesPerBucket; at++) {
      const entry = { at, position: this.#position(at), tag: Atomics.load(this.#words, 2 * at) & tagMask };
      if (!isWhole(entry.position)) return entry;
      if (!oldest || entry.position < oldest.position) oldest = entry;
    }
    return oldest as IndexEntry;
  }

  #position(at: number): number {
    const low = Atomics.load(this.#words, 2 * at);
    return (Atomics.load(this.#words, 2 * at + 1) >>> 0) * perHigh + (low >>> tagBits) - 1;
  }

  #first(a: number): number {
    return (a & (this.#buckets - 1)) * entriesPerBucket;
  }
}

/** @returns 0 for an empty entry */
function rawOf({ position, tag }: Pick<IndexEntry, 'position' | 'tag'>): bigint {
  return BigInt.asIntN(64, (BigInt(position + 1) << BigInt(tagBits)) | BigInt(tag));
}

/** Never 0, which an empty entry has. */
function tagOf(b: number): number {
  return b & tagMask || 1;
}
