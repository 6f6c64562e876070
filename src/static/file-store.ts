// What is known of the files below a root, by their names: those used lately stay in memory, and are compared with the disk
// at most once in a second.
import type { LRUCache } from 'lru-cache';
import { HttpError } from '../errors.js';
import { Resource, type ResourceOptions } from './resource.js';
import type { NoFile } from './root.js';

const checkIntervalMs = 1000;
/** What such an entry takes (bytes). */
const absentWeight = 512;

/** That there is no file is remembered as well: in front of an app, most paths name none. */
export interface Absent {
  readonly kind: NoFile;
  readonly checkedAt: number;
  /** Bytes. */
  readonly weight: number;
}

export type Entry = Resource | Absent;

/** By their names, as much as fits. */
export type Files = LRUCache<string, Entry>;

export class FileStore {
  readonly #options: ResourceOptions;
  readonly #memory: Files;
  readonly #prefix: string;
  /** Those that are being read or compared. */
  readonly #pending = new Map<string, Promise<Entry>>();

  /** @param prefix tells its names from those of others in the memory */
  constructor(options: ResourceOptions, memory: Files, prefix: string) {
    this.#options = options;
    this.#prefix = prefix;
    this.#memory = memory;
  }

  /** @param name in the root. @param at now. @throws HttpError 503 if the file cannot be read now */
  get(name: string, at: number): Entry | Promise<Entry> {
    const known = this.#memory.get(this.#key(name));
    if (known && at - known.checkedAt < checkIntervalMs) return known;
    let pending = this.#pending.get(name);
    if (!pending) {
      pending = this.#find(name, known, at).finally(() => this.#pending.delete(name));
      this.#pending.set(name, pending);
    }
    return pending;
  }

  /** It has turned out to have changed. */
  forget(name: string): void {
    this.#memory.delete(this.#key(name));
  }

  /** Its weight has changed. */
  grown(resource: Resource): void {
    const key = this.#key(resource.name);
    if (this.#memory.get(key) !== resource) return;
    // The same value would keep its size.
    this.#memory.delete(key);
    this.#memory.set(key, resource);
  }

  async #find(name: string, known: Entry | undefined, at: number): Promise<Entry> {
    if (known instanceof Resource && (await known.isCurrent())) {
      known.checkedAt = at;
      return known;
    }
    const found = await Resource.load(name, this.#options, at).catch((cause: unknown) => {
      this.forget(name);
      throw new HttpError(503, `the file ${name} cannot be read now`, { cause });
    });
    const entry: Entry =
      typeof found === 'string' ? { kind: found, checkedAt: at, weight: absentWeight + 2 * name.length } : found;
    this.#memory.set(this.#key(name), entry);
    return entry;
  }

  #key(name: string): string {
    return this.#prefix === '' ? name : this.#prefix + name;
  }
}
