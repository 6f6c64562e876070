// Memory that outlives a process which dies: one writes it, and whoever has the descriptor reads what was last there.
import { ftruncateSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { checked, libc, SystemCallError } from './libc.js';

const MFD_CLOEXEC = 1;
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
/** What mmap(2) returns when it has failed, as a pointer. */
const MAP_FAILED = 2n ** 64n - 1n;

/**
 * A descriptor of `bytes` zeros, closed on exec, which belongs to the caller. What nobody writes takes no memory.
 * @throws SystemCallError (EMFILE), Error
 */
export function createSharedMemory(bytes: number): number {
  const { memfd_create } = libc();
  const fd = memfd_create ? checked('memfd_create', memfd_create('mpserve', MFD_CLOEXEC)) : createNameless();
  ftruncateSync(fd, bytes);
  return fd;
}

/** Its address in this process, where it stays until the end. @throws SystemCallError (ENOMEM, EBADF) */
export function mapSharedMemory(fd: number, bytes: number): bigint {
  const address = libc().mmap(null, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (address === MAP_FAILED || address === -1n) throw new SystemCallError('ENOMEM', 'mmap');
  return address;
}

/** A part of what is mapped; any thread of this process may ask for it. */
export function viewSharedMemory(address: bigint, bytes: number): Buffer {
  return Buffer.from(libc().view(address, bytes));
}

function createNameless(): number {
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-'));
  try {
    return openSync(path.join(folder, 'memory'), 'w+', 0o600);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
