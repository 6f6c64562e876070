// The memory of --cache-store shared, on which the event loops of all workers work. As `ServerMemory`, the supervisor creates it
// and never maps it. It lives through reloads, switches of the model and deaths of workers; another --cache begins with an
// empty one.
import { readSync } from 'node:fs';
import { layOut, sharedBytes, usedBytes, writtenAt } from '../cache/shared-layout.js';
import { type Config, isCacheShared } from '../config/config.js';
import { ExitCode, StartupError } from '../errors.js';
import { closeDescriptor } from '../os/descriptor.js';
import { createSharedMemory } from '../os/shared-memory.js';
import type { WorkerSettings } from '../worker/settings.js';

export class CacheMemory {
  readonly #inUse: () => Config;
  /** Descriptors by the size of the memory. */
  readonly #fds = new Map<number, number>();

  /** @param inUse the configuration of the server at the moment */
  constructor(inUse: () => Config) {
    this.#inUse = inUse;
  }

  /**
   * @returns what the workers of this configuration get, whose descriptor stays this object's; undefined if they share no cache
   * @throws StartupError when the system refuses the memory
   */
  for({ cache }: Config): WorkerSettings['cacheMemory'] {
    const { cache: current } = this.#inUse();
    // If a reload fails, the server goes on with the current one.
    for (const [bytes, fd] of this.#fds) {
      if ([cache, current].some((one) => isCacheShared(one) && sharedBytes(one.cache) === bytes)) continue;
      closeDescriptor(fd);
      this.#fds.delete(bytes);
    }
    if (!isCacheShared(cache)) return undefined;
    const bytes = sharedBytes(cache.cache);
    const fd = this.#fds.get(bytes) ?? create(bytes);
    this.#fds.set(bytes, fd);
    return { fd, bytes };
  }

  /** What responses take in it. */
  get usedBytes(): number {
    const { cache } = this.#inUse();
    const bytes = sharedBytes(cache.cache);
    const fd = isCacheShared(cache) ? this.#fds.get(bytes) : undefined;
    if (fd === undefined) return 0;
    const written = new BigInt64Array(1);
    readSync(fd, new Uint8Array(written.buffer), 0, 8, writtenAt);
    return usedBytes(written[0] as bigint, layOut(bytes));
  }

  close(): void {
    for (const fd of this.#fds.values()) closeDescriptor(fd);
    this.#fds.clear();
  }
}

function create(bytes: number): number {
  try {
    return createSharedMemory(bytes);
  } catch (cause) {
    const { message } = cause as Error;
    const advice = 'look at the limits on open files and memory (ulimit -n), or use --cache-store memory';
    throw new StartupError(ExitCode.boot, `the system refuses memory for --cache (${message}); ${advice}`, { cause });
  }
}
