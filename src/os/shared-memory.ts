// Memory that outlives a process which dies: one writes it, and whoever has the descriptor reads what was last there.
import { ftruncateSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { closeDescriptor } from './descriptor.js';
import { checked, libc, SystemCallError } from './libc.js';

const MFD_CLOEXEC = 1;
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_FIXED = 0x10;
/** The largest that a supported system has. */
const page = 65_536;

/**
 * A descriptor of `bytes` zeros, closed on exec, which belongs to the caller. What nobody writes takes no memory.
 * @throws SystemCallError (EMFILE), Error
 */
export function createSharedMemory(bytes: number): number {
  const { memfd_create } = libc();
  const fd = memfd_create ? checked('memfd_create', memfd_create('mpserve', MFD_CLOEXEC)) : createNameless();
  try {
    ftruncateSync(fd, bytes);
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

/**
 * Makes it a part of this process, for good, as a buffer that its threads can share.
 * @returns the buffer, and where in it the memory begins
 * @throws SystemCallError (ENOMEM, EBADF)
 */
export function mapSharedMemory(
  fd: number,
  bytes: number,
): { readonly buffer: SharedArrayBuffer; readonly at: number } {
  const { address, mmap } = libc();
  // A buffer of V8's own, under which the pages are exchanged: one that is made from an address belongs to a thread.
  // The kernel maps whole pages.
  const buffer = new SharedArrayBuffer(Math.ceil(bytes / page) * page + page);
  const start = address(new Uint8Array(buffer));
  const at = Number(-start & BigInt(page - 1));
  const mapped = mmap(start + BigInt(at), bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
  if (mapped !== start + BigInt(at)) throw new SystemCallError('ENOMEM', 'mmap');
  kept.push(buffer);
  return { buffer, at };
}

/** Its pages are not V8's to reuse. */
const kept: SharedArrayBuffer[] = [];

function createNameless(): number {
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-'));
  try {
    return openSync(path.join(folder, 'memory'), 'w+', 0o600);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
