// File descriptors as Node does not show them: a copy of one, its end, whether there is something to read.
// An fd number handed to somebody belongs to them: whoever holds it when something fails closes it.
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { platform } from 'node:process';
import { checked, libc } from './libc.js';

const AF_UNIX = 1;
const SOCK_STREAM = 1;
/** socket(7), as on Linux. */
const SOL_SOCKET = 1;
const SO_TYPE = 3;
const SO_ACCEPTCONN = 30;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const POLLIN = 1;
const POLLOUT = 4;
/** fcntl(2): duplicates and sets close-on-exec in one call, so that no child of the app ever inherits a client. */
const F_DUPFD_CLOEXEC = platform === 'darwin' ? 67 : 1030;

/** A second descriptor for the same open file, closed on exec. @throws SystemCallError (EMFILE, EBADF) */
export function duplicate(fd: number): number {
  return checked('fcntl(F_DUPFD_CLOEXEC)', libc().fcntl(fd, F_DUPFD_CLOEXEC, 'int', 0));
}

/**
 * Puts the file `path`, opened for appending, in the place of what is behind `fd`, in one step: whoever writes there,
 * in whichever thread, writes to the one or to the other. @throws Error when it cannot be opened; nothing has changed
 */
export function reopen(fd: number, path: string, noLinks = false): void {
  const { O_APPEND, O_CREAT, O_WRONLY, O_NOFOLLOW } = constants;
  const fresh = openSync(path, O_APPEND | O_CREAT | O_WRONLY | (noLinks ? O_NOFOLLOW : 0), 0o640);
  try {
    checked('dup2', libc().dup2(fresh, fd));
    closeOnExec(fd);
  } finally {
    closeSync(fresh);
  }
}

/** Two connected descriptors, closed on exec, which belong to the caller (socketpair(2)). @throws SystemCallError */
export function socketPair(): readonly [number, number] {
  const pair = Buffer.alloc(8);
  checked('socketpair', libc().socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  const fds = [pair.readInt32LE(0), pair.readInt32LE(4)] as const;
  for (const fd of fds) closeOnExec(fd);
  return fds;
}

/**
 * Whether there is something to read from `fd`; on a listening socket, a client in the queue (poll(2)). Waits for it up
 * to `ms` milliseconds.
 */
export function isReadable(fd: number, ms = 0): boolean {
  return poll(fd, POLLIN, ms);
}

/** Whether a write to `fd` is taken, or fails, at once; waits for that up to `ms` milliseconds. */
export function isWritable(fd: number, ms: number): boolean {
  return poll(fd, POLLOUT, ms);
}

/**
 * A descriptor of our own for the pipe or terminal behind `fd`, which we inherited: one that never blocks us, while
 * for everybody who shares `fd` nothing changes. Elsewhere than on Linux, and for the rest, `fd` itself.
 */
export function unblocking(fd: number): number {
  try {
    const status = fstatSync(fd);
    if (platform !== 'linux' || !(status.isFIFO() || status.isCharacterDevice())) return fd;
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    return openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return fd; // closed, or it belongs to another user
  }
}

/** Whether it is a stream socket that does not listen; only on Linux. */
export function isConnection(fd: number): boolean {
  return optionOf(fd, SO_TYPE) === SOCK_STREAM && optionOf(fd, SO_ACCEPTCONN) === 0;
}

/** undefined for what is no socket. */
function optionOf(fd: number, option: number): number | undefined {
  const value = Buffer.alloc(4);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(value.length);
  return libc().getsockopt(fd, SOL_SOCKET, option, value, size) < 0 ? undefined : value.readInt32LE();
}

export function closeOnExec(fd: number): void {
  checked('fcntl(F_SETFD)', libc().fcntl(fd, F_SETFD, 'int', FD_CLOEXEC));
}

/** Not fs.close: in a thread Node warns about a descriptor that it did not open itself. */
export function closeDescriptor(fd: number): void {
  libc().close(fd);
}

function poll(fd: number, events: number, ms: number): boolean {
  const entry = Buffer.alloc(8); // struct pollfd: fd, events, revents
  entry.writeInt32LE(fd);
  entry.writeInt16LE(events, 4);
  return libc().poll(entry, 1, ms) > 0;
}
