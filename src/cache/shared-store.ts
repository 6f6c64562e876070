// The store in memory that all event loops of a machine share. The ring has the responses as bytes, the index where those of a
// key are. An event loop keeps decoded copies of those that it uses most, which count only while the index names the same
// record. Whatever is in the memory, a wrong response is never returned: what is read is checked as a copy.
import { LRUCache } from 'lru-cache';
import type { KeyHash, KeyHasher } from './key-hash.js';
import { pack, unpack } from './packed-response.js';
import { type Purges, slotsOf } from './purges.js';
import { listOf, positionsIn, Ring } from './ring.js';
import { type IndexEntry, RingIndex } from './ring-index.js';
import { sameSelecting } from './selecting.js';
import { keepMarks, layOut } from './shared-layout.js';
import type { CacheStore } from './store.js';
import type { StoredResponse } from './stored-response.js';

/** One key has at most this many: with more, the values of the selecting headers come from its clients. */
const maxVariants = 64;
/** After so many changes by other event loops in between, a response is not stored. */
const maxTries = 4;
/** Of a key of the copies, as measured (bytes). */
const keyOverheadBytes = 768;

/** The responses of a key. */
interface Kept {
  readonly hash: KeyHash;
  /** Of the record that the index names. */
  readonly position: number;
  /** The newest first. */
  readonly variants: readonly Variant[];
}

interface Variant {
  readonly position: number;
  readonly response: StoredResponse;
  /** Where it would be purged. */
  readonly slots: readonly number[];
}

export interface SharedStoreOptions {
  readonly memory: SharedArrayBuffer;
  readonly hasher: KeyHasher;
  /** For decoded copies. */
  readonly maxCopyBytes: number;
  readonly purges: Purges;
  /** Monotonic, in milliseconds, the same for all processes. */
  readonly now: () => number;
  readonly onEvicted: (count: number) => void;
  /** Told of the bytes that the copies take after each change. */
  readonly onBytes: (bytes: number) => void;
}

const none: readonly StoredResponse[] = [];

export class SharedStore implements CacheStore {
  readonly #options: SharedStoreOptions;
  readonly #ring: Ring;
  readonly #index: RingIndex;
  /** Of records that an event loop moves to the end of the ring: the others need not. */
  readonly #marks: Int32Array;
  readonly #copies: LRUCache<string, Kept>;

  constructor(options: SharedStoreOptions) {
    const { memory, maxCopyBytes } = options;
    const layout = layOut(memory.byteLength);
    this.#options = options;
    this.#ring = new Ring(memory, layout);
    this.#index = new RingIndex(memory, layout);
    this.#marks = new Int32Array(memory, layout.marksAt, keepMarks);
    this.#copies = new LRUCache({ maxSize: maxCopyBytes });
  }

  get(key: string): readonly StoredResponse[] {
    const kept = this.#find(key);
    if (!kept) return none;
    const { variants } = this.#isOld(kept) ? this.#keep(key, kept) : kept;
    return variants.map(({ response }) => response);
  }

  put(key: string, url: string, response: StoredResponse): void {
    const slots = slotsOf(url, response.tags);
    // Purged since it was asked for.
    if (!this.#options.purges.isValid(slots, response.requestedAt)) return;
    const hash = this.#hash(key);
    const position = this.#ring.append('response', hash, pack(key, response), this.#overwritten);
    if (position === undefined) return;
    this.#change(key, (all) => {
      const others = all.filter((other) => !sameSelecting(other.response.selecting, response.selecting));
      const most = this.#ring.maxContent - response.bytes;
      let bytes = 0;
      const fitting = others.slice(0, maxVariants - 1).filter((other) => {
        bytes += other.response.bytes;
        return bytes <= most;
      });
      const dropped = others.length - fitting.length;
      if (dropped > 0) this.#options.onEvicted(dropped);
      return [{ position, response, slots }, ...fitting];
    });
  }

  drop(key: string, { requestedAt, selecting }: StoredResponse): void {
    this.#change(key, (all) =>
      all.filter(
        ({ response }) => response.requestedAt !== requestedAt || !sameSelecting(response.selecting, selecting),
      ),
    );
  }

  delete(url: string): void {
    this.#options.purges.add({ url }, this.#options.now());
  }

  purge(tag: string): void {
    this.#options.purges.add({ tag }, this.#options.now());
  }

  /** Without those that have been purged. */
  #find(key: string): Kept | undefined {
    const copy = this.#copies.get(key);
    const isCurrent =
      copy !== undefined && this.#index.newest(copy.hash) === copy.position && this.#ring.isWhole(copy.position);
    const kept = isCurrent ? copy : this.#read(key, copy);
    if (!kept) {
      if (copy) this.#forget(key);
      return undefined;
    }
    const isPurged = ({ slots, response }: Variant) => !this.#options.purges.isValid(slots, response.requestedAt);
    if (!kept.variants.some(isPurged)) return isCurrent ? kept : this.#copy(key, kept);
    const variants = kept.variants.filter((one) => !isPurged(one));
    return this.#copy(key, { ...kept, variants });
  }

  /** @param copy an older one */
  #read(key: string, copy: Kept | undefined): Kept | undefined {
    const hash = copy?.hash ?? this.#hash(key);
    const url = urlOf(key);
    for (const { position } of this.#index.find(hash)) {
      const record = this.#ring.read(position);
      if (record?.hash.a !== hash.a || record.hash.b !== hash.b) continue;
      const positions = record.kind === 'list' ? positionsIn(record).slice(0, maxVariants) : [position];
      const variants: Variant[] = [];
      let bytes = 0;
      for (const one of positions) {
        const variant = copy?.variants.find((known) => known.position === one) ?? this.#variant(key, url, one);
        if (!variant) continue;
        bytes += variant.response.bytes;
        if (bytes > 2 * this.#ring.maxContent) break; // an app has written the list
        variants.push(variant);
      }
      if (variants.length > 0) return { hash, position, variants };
    }
    return undefined;
  }

  #variant(key: string, url: string, position: number): Variant | undefined {
    const record = this.#ring.read(position);
    const response = record?.kind === 'response' ? unpack(key, record.content) : undefined;
    return response && { position, response, slots: slotsOf(url, response.tags) };
  }

  /** @param change what becomes of the responses of a key; called again if another event loop has changed them */
  #change(key: string, change: (variants: readonly Variant[]) => readonly Variant[]): void {
    for (let tries = 0; tries < maxTries; tries++) {
      const before = this.#find(key);
      const entry = before && this.#entryOf(before);
      if (before && !entry) continue;
      const variants = change(before?.variants ?? []);
      if (variants.length === before?.variants.length && variants.every((one, i) => one === before.variants[i])) return;
      if (this.#publish(key, before?.hash ?? this.#hash(key), entry, variants)) return;
    }
  }

  /** @returns whether it is so now; `false` if another event loop has changed the entry */
  #publish(key: string, hash: KeyHash, entry: IndexEntry | undefined, variants: readonly Variant[]): boolean {
    const [first] = variants;
    if (!first) {
      this.#forget(key);
      return entry === undefined || this.#index.remove(entry);
    }
    const list = () => listOf(variants.map((one) => one.position));
    const position =
      variants.length === 1 ? first.position : this.#ring.append('list', hash, list(), this.#overwritten);
    if (position === undefined) return false;
    const published = this.#index.publish(hash, entry, position, this.#isWhole);
    if (!published) return false;
    if (published.evicted !== undefined) this.#options.onEvicted(this.#countAt(published.evicted));
    // Decoded when it is asked for: many a response never is, and others have the copy of the one before.
    this.#forget(key);
    return true;
  }

  #isOld({ position, variants }: Kept): boolean {
    const { end } = this.#ring;
    return this.#ring.isOld(position, end) || variants.some((one) => this.#ring.isOld(one.position, end));
  }

  /** Moves to the end of the ring what would be overwritten next, as it is used; once in all event loops. */
  #keep(key: string, kept: Kept): Kept {
    const { hash, variants: all } = kept;
    const place = hash.a % keepMarks;
    const mark = (kept.position % 0x7fffffff) + 1;
    if (Atomics.load(this.#marks, place) === mark) return kept;
    const entry = this.#entryOf(kept);
    if (!entry || Atomics.exchange(this.#marks, place, mark) === mark) return kept;
    const { end } = this.#ring;
    const variants = all.flatMap((one) => {
      if (!this.#ring.isOld(one.position, end)) return one;
      const record = this.#ring.read(one.position);
      const position =
        record?.kind === 'response'
          ? this.#ring.append('response', hash, record.content, this.#overwritten)
          : undefined;
      return position === undefined ? [] : { ...one, position };
    });
    if (variants.length > 0) this.#publish(key, hash, entry, variants);
    return kept;
  }

  #entryOf({ hash, position }: Kept): IndexEntry | undefined {
    return this.#index.find(hash).find((entry) => entry.position === position);
  }

  readonly #isWhole = (position: number): boolean => this.#ring.isWhole(position);

  /** A response is about to be overwritten: it is lost if it is still in use. */
  readonly #overwritten = (hash: KeyHash, position: number): void => {
    const isInUse = this.#index.find(hash).some((entry) => {
      if (entry.position === position) return true;
      const record = this.#ring.read(entry.position);
      return record?.kind === 'list' && positionsIn(record).includes(position);
    });
    if (isInUse) this.#options.onEvicted(1);
  };

  #countAt(position: number): number {
    const record = this.#ring.read(position);
    return record?.kind === 'list' ? positionsIn(record).length : 1;
  }

  /** Only of what is found by a look at the index alone. */
  #copy(key: string, kept: Kept): Kept {
    if (this.#index.newest(kept.hash) !== kept.position) {
      this.#forget(key);
      return kept;
    }
    let size = keyOverheadBytes + 2 * key.length;
    for (const { response, slots } of kept.variants) size += response.bytes + 16 * slots.length;
    this.#copies.set(key, kept, { size });
    this.#options.onBytes(this.#copies.calculatedSize);
    return kept;
  }

  #forget(key: string): void {
    if (this.#copies.delete(key)) this.#options.onBytes(this.#copies.calculatedSize);
  }

  #hash(key: string): KeyHash {
    return this.#options.hasher.of(key);
  }
}

/** @param key of `request-facts` */
function urlOf(key: string): string {
  const start = key.indexOf('\n') + 1;
  const end = key.indexOf('\n', start);
  return end < 0 ? key.slice(start) : key.slice(start, end);
}
