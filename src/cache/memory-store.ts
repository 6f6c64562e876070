// The store in the memory of an event loop. The least recently used responses go first when it is full.
import { LRUCache } from 'lru-cache';
import { type Purges, slotsOf } from './purges.js';
import { sameSelecting } from './selecting.js';
import type { CacheStore } from './store.js';
import type { StoredResponse } from './stored-response.js';

/** One key has at most this many: with more, the values of the selecting headers come from its clients. */
const maxVariants = 64;

/** Of a key, as measured (bytes). */
const keyOverheadBytes = 512;
/** Of a target or a tag of a response, as V8 stores it. */
const slotBytes = 16;

interface Kept {
  /** The newest first. */
  readonly responses: readonly StoredResponse[];
  /** Of each response, where it would be purged. */
  readonly slots: readonly (readonly number[])[];
}

export interface MemoryStoreOptions {
  readonly maxBytes: number;
  readonly purges: Purges;
  /** Monotonic, in milliseconds, the same for all processes. */
  readonly now: () => number;
  readonly onEvicted: (count: number) => void;
  /** Told of the bytes in use after each change. */
  readonly onBytes: (bytes: number) => void;
}

const nothing: Kept = { responses: [], slots: [] };

export class MemoryStore implements CacheStore {
  readonly #options: MemoryStoreOptions;
  readonly #kept: LRUCache<string, Kept>;

  constructor(options: MemoryStoreOptions) {
    this.#options = options;
    this.#kept = new LRUCache({
      maxSize: options.maxBytes,
      dispose: ({ responses }, _, reason) => {
        if (reason === 'evict') options.onEvicted(responses.length);
      },
    });
  }

  get(key: string): readonly StoredResponse[] {
    return this.#valid(key).responses;
  }

  put(key: string, url: string, response: StoredResponse): void {
    const slots = slotsOf(url, response.tags);
    // Purged since it was asked for.
    if (!this.#options.purges.isValid(slots, response.requestedAt)) return;
    const others = this.#without(this.#valid(key), (other) => sameSelecting(other.selecting, response.selecting));
    const dropped = Math.max(0, others.responses.length + 1 - maxVariants);
    if (dropped > 0) this.#options.onEvicted(dropped);
    this.#set(key, {
      responses: [response, ...others.responses.slice(0, maxVariants - 1)],
      slots: [slots, ...others.slots.slice(0, maxVariants - 1)],
    });
  }

  drop(key: string, response: StoredResponse): void {
    const kept = this.#kept.get(key);
    if (kept?.responses.includes(response))
      this.#set(
        key,
        this.#without(kept, (one) => one === response),
      );
  }

  delete(url: string): void {
    this.#options.purges.add({ url }, this.#options.now());
  }

  purge(tag: string): void {
    this.#options.purges.add({ tag }, this.#options.now());
  }

  /** Without those that have been purged. */
  #valid(key: string): Kept {
    const kept = this.#kept.get(key);
    if (kept === undefined) return nothing;
    const { purges } = this.#options;
    const { responses, slots } = kept;
    const isPurged = (one: StoredResponse, i: number) =>
      !purges.isValid(slots[i] as readonly number[], one.requestedAt);
    if (!responses.some(isPurged)) return kept;
    const valid = this.#without(kept, isPurged);
    this.#set(key, valid);
    return valid;
  }

  #without({ responses, slots }: Kept, isOne: (response: StoredResponse, i: number) => boolean): Kept {
    const isOther = responses.map((response, i) => !isOne(response, i));
    return { responses: responses.filter((_, i) => isOther[i]), slots: slots.filter((_, i) => isOther[i]) };
  }

  /** The oldest ones go if they do not fit. */
  #set(key: string, { responses, slots }: Kept): void {
    const { maxBytes, onBytes, onEvicted } = this.#options;
    let size = keyOverheadBytes + 2 * key.length;
    let count = 0;
    for (; count < responses.length; count++) {
      const bytes = (responses[count] as StoredResponse).bytes + (slots[count]?.length ?? 0) * slotBytes;
      if (size + bytes > maxBytes) break;
      size += bytes;
    }
    if (count < responses.length) onEvicted(responses.length - count);
    if (count === 0) this.#kept.delete(key);
    else this.#kept.set(key, { responses: responses.slice(0, count), slots: slots.slice(0, count) }, { size });
    onBytes(this.#kept.calculatedSize);
  }
}
