// The memory that all event loops of a server share, on which Atomics work across its processes and threads. The supervisor
// creates it when the first option needs it, passes its descriptor to each worker process, and never maps it: an app can
// write anything to it. It lives as long as the server, through reloads, switches of the model and deaths of workers; the
// successor of an upgrade has its own.
import { readSync, writeSync } from 'node:fs';
import type { Config } from '../config/config.js';
import { ExitCode, StartupError } from '../errors.js';
import { closeDescriptor } from '../os/descriptor.js';
import { createSharedMemory, mapSharedMemory } from '../os/shared-memory.js';
import { memoryBytes, type PartName, rangeOf } from './parts.js';

/** For each option that uses a part: whether it is on. */
const users: readonly ((config: Config) => boolean)[] = [
  ({ overload, pool }) => overload.maxInflight > 0 || pool.unit === 'request',
  ({ limits }) => limits.rateLimit !== undefined,
  ({ server }) => server.admin !== undefined,
  ({ cache }) => cache.cache > 0,
  ({ overload, lifecycle }) => overload.healthPath.length > 0 && lifecycle.stopDelay > 0,
];

export class ServerMemory {
  #fd: number | undefined;

  /**
   * @returns the descriptor for the workers of this configuration, which stays this object's; undefined if they need none
   * @throws StartupError when the system refuses the memory
   */
  descriptorFor(config: Config): number | undefined {
    if (!users.some((needsMemory) => needsMemory(config))) return undefined;
    this.#fd ??= create();
    return this.#fd;
  }

  /** Writes zeros to a part. @param start bytes from its start */
  clear(name: PartName, start: number, bytes: number): void {
    if (this.#fd !== undefined) writeSync(this.#fd, Buffer.alloc(bytes), 0, bytes, rangeOf(name).start + start);
  }

  /** Writes to a part. @param start bytes from its start */
  write(name: PartName, start: number, bytes: Uint8Array): void {
    if (this.#fd !== undefined) writeSync(this.#fd, bytes, 0, bytes.length, rangeOf(name).start + start);
  }

  /** Fills the array from a part. @returns whether there is a memory */
  read(name: PartName, start: number, bytes: Uint8Array): boolean {
    if (this.#fd === undefined) return false;
    readSync(this.#fd, bytes, 0, bytes.length, rangeOf(name).start + start);
    return true;
  }

  /** Tells all event loops that the server is about to stop. */
  setStopping(): void {
    if (this.#fd !== undefined) writeSync(this.#fd, Uint8Array.of(1), 0, 1, rangeOf('state').start);
  }

  close(): void {
    if (this.#fd !== undefined) closeDescriptor(this.#fd);
    this.#fd = undefined;
  }
}

function create(): number {
  try {
    const fd = createSharedMemory(memoryBytes);
    const { start, bytes } = rangeOf('hashKey');
    writeSync(fd, process.getBuiltinModule('node:crypto').randomBytes(bytes), 0, bytes, start);
    return fd;
  } catch (cause) {
    const { message } = cause as Error;
    const advice = 'look at the limits on open files and memory (ulimit -n)';
    throw new StartupError(ExitCode.boot, `the system refuses memory that workers share (${message}); ${advice}`, {
      cause,
    });
  }
}

/**
 * In a worker process, once; its threads get the buffer that it returns.
 * @param fd is closed: with it, the app could truncate the memory, and the next access would kill the process
 * @throws SystemCallError (ENOMEM, EBADF)
 */
export function mapServerMemory(fd: number): SharedArrayBuffer {
  return mapAlone(fd, memoryBytes);
}

/** @param fd is closed, as that of `mapServerMemory`. @throws SystemCallError (ENOMEM, EBADF) */
export function mapAlone(fd: number, bytes: number): SharedArrayBuffer {
  const memory = mapSharedMemory(fd, bytes);
  closeDescriptor(fd);
  return memory;
}
