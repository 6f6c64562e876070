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
 * Makes it a part of this process, as a buffer that its threads can share, for as long as there is the buffer.
 * @throws SystemCallError (ENOMEM, EBADF)
 */
export function mapSharedMemory(fd: number, bytes: number): SharedArrayBuffer {
  const { address, mmap } = libc();
  // A buffer of V8's own, under which the pages are exchanged: one that is made from an address belongs to a thread.
  // One that could grow has pages to itself, which are unmapped at its end; any other is taken from the heap of the C
  // library, which would go on with our pages as its own.
  const buffer = new SharedArrayBuffer(bytes, { maxByteLength: bytes });
  const start = address(new Uint8Array(buffer));
  const mapped = mmap(start, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
  if (mapped !== start) throw new SystemCallError('ENOMEM', 'mmap');
  return buffer;
}

function createNameless(): number {
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-'));
  try {
    return openSync(path.join(folder, 'memory'), 'w+', 0o600);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
