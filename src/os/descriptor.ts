// File descriptors as Node does not show them: the number behind a socket, a copy of it, its end.
// An fd number handed to somebody belongs to them: whoever holds it when something fails closes it.
import type { Socket } from 'node:net';
import { platform } from 'node:process';
import { checked, libc } from './libc.js';

const F_SETFD = 2;
const FD_CLOEXEC = 1;
const POLLIN = 1;
/** fcntl(2): duplicates and sets close-on-exec in one call, so that no child of the app ever inherits a client. */
const F_DUPFD_CLOEXEC = platform === 'darwin' ? 67 : 1030;

/** The descriptor behind a connected socket, or undefined once it is closed. Node keeps it in a private field. */
export function descriptorOf(socket: Socket): number | undefined {
  const handle = (socket as unknown as { _handle: { fd?: number } | null })._handle;
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
}

/** A second descriptor for the same open file, closed on exec. @throws SystemCallError (EMFILE, EBADF) */
export function duplicate(fd: number): number {
  return checked('fcntl(F_DUPFD_CLOEXEC)', libc().fcntl(fd, F_DUPFD_CLOEXEC, 'int', 0));
}

/** Whether there is something to read from `fd`; on a listening socket, a client in the queue (poll(2)). */
export function isReadable(fd: number): boolean {
  const entry = Buffer.alloc(8); // struct pollfd: fd, events, revents
  entry.writeInt32LE(fd);
  entry.writeInt16LE(POLLIN, 4);
  return libc().poll(entry, 1, 0) > 0;
}

export function closeOnExec(fd: number): void {
  checked('fcntl(F_SETFD)', libc().fcntl(fd, F_SETFD, 'int', FD_CLOEXEC));
}

/** Not fs.close: in a thread Node warns about a descriptor that it did not open itself. */
export function closeDescriptor(fd: number): void {
  libc().close(fd);
}
