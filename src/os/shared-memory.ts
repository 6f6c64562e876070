// Shared memory that outlives the process that writes it: another process with the descriptor can still read it.
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

/**
 * A descriptor of `bytes` zeros, closed on exec, which the caller owns. Pages that are never written take no memory.
 * @throws SystemCallError (EMFILE), Error
 */
export function createSharedMemory(bytes: number): number {
  const { memfd_create } = libc();
  const fd = memfd_create ? checked('memfd_create', memfd_create('mpserve', MFD_CLOEXEC)) : createUnnamedFile();
  try {
    ftruncateSync(fd, bytes);
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

/**
 * Maps the memory into this process, as a buffer that its threads can share, until the buffer is collected.
 * @throws SystemCallError (ENOMEM, EBADF)
 */
export function mapSharedMemory(fd: number, bytes: number): SharedArrayBuffer {
  const { address, mmap } = libc();
  // Maps over the pages of a buffer of V8's, as a buffer made from an address would belong to one thread. A growable buffer
  // has its own pages, which V8 unmaps at its end. V8 takes other buffers from the heap of the C library, which would reuse
  // the mapped pages.
  const buffer = new SharedArrayBuffer(bytes, { maxByteLength: bytes });
  const start = address(new Uint8Array(buffer));
  const mapped = mmap(start, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
  if (mapped !== start) throw new SystemCallError('ENOMEM', 'mmap');
  return buffer;
}

function createUnnamedFile(): number {
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-'));
  try {
    return openSync(path.join(folder, 'memory'), 'w+', 0o600);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
