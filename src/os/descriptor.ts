// Operations on file descriptors that Node does not offer. A function that gets a descriptor to keep owns it, and closes
// it if something fails.
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { constants as system } from 'node:os';
import { platform } from 'node:process';
import { getSystemErrorName } from 'node:util';
import { checked, libc } from './libc.js';
import { AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM, SOL_SOCKET } from './socket-constants.js';

/** As on Linux. */
const SO_TYPE = 3;
const SO_ACCEPTCONN = 30;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
/** On Linux. */
const F_SETSIG = 10;
const F_SETLEASE = 1024;
const F_RDLCK = 0;
const F_UNLCK = 2;
const POLLIN = 1;
const POLLOUT = 4;
/** fcntl(2): sets close-on-exec in the same call, so that no child of the app ever inherits a client. */
const F_DUPFD_CLOEXEC = platform === 'darwin' ? 67 : 1030;

/** A second descriptor for the same open file, closed on exec. @throws SystemCallError (EMFILE, EBADF) */
export function duplicate(fd: number): number {
  return checked('fcntl(F_DUPFD_CLOEXEC)', libc().fcntl(fd, F_DUPFD_CLOEXEC, 'int', 0));
}

/** A second descriptor for each, as above; none is left if one fails. @throws SystemCallError (EMFILE, EBADF) */
export function duplicateAll(fds: readonly number[]): number[] {
  const duplicates: number[] = [];
  try {
    for (const fd of fds) duplicates.push(duplicate(fd));
    return duplicates;
  } catch (error) {
    for (const fd of duplicates) closeDescriptor(fd);
    throw error;
  }
}

/**
 * Atomically redirects `fd` to the file `path`, opened for appending: a thread that writes meanwhile writes to the old file
 * or to the new one. @param mode of a new file (open(2)). @throws Error if the file cannot be opened; then `fd` is as before
 */
export function reopen(fd: number, path: string, noLinks = false, mode = 0o640): void {
  const { O_APPEND, O_CREAT, O_WRONLY, O_NOFOLLOW } = constants;
  const opened = openSync(path, O_APPEND | O_CREAT | O_WRONLY | (noLinks ? O_NOFOLLOW : 0), mode);
  try {
    checked('dup2', libc().dup2(opened, fd));
    closeOnExec(fd);
  } finally {
    closeSync(opened);
  }
}

/** Two connected descriptors, closed on exec, which the caller owns (socketpair(2)). @throws SystemCallError */
export function socketPair(): readonly [number, number] {
  const pair = Buffer.alloc(8);
  checked('socketpair', libc().socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  const fds = [pair.readInt32LE(0), pair.readInt32LE(4)] as const;
  for (const fd of fds) closeOnExec(fd);
  return fds;
}

/** Whether `fd` has data, or for a listening socket a client in its queue (poll(2)). Blocks for up to `ms` milliseconds. */
export function isReadable(fd: number, ms = 0): boolean {
  return poll(fd, POLLIN, ms);
}

/** Whether a write to `fd` would succeed or fail at once. Blocks for up to `ms` milliseconds. */
export function isWritable(fd: number, ms: number): boolean {
  return poll(fd, POLLOUT, ms);
}

/**
 * A non-blocking descriptor for the same pipe or terminal, which leaves the mode of `fd` as it is for the processes that
 * share it. For other files, and on other systems than Linux, `fd` itself.
 */
export function nonBlocking(fd: number): number {
  try {
    const status = fstatSync(fd);
    if (platform !== 'linux' || !(status.isFIFO() || status.isCharacterDevice())) return fd;
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    return openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return fd; // it is closed, or another user owns it
  }
}

/** Whether `fd` is a stream socket that does not listen; Linux only. */
export function isConnection(fd: number): boolean {
  const [type, listens] = [SO_TYPE, SO_ACCEPTCONN].map((option) => socketOption(fd, option, 4)?.readInt32LE());
  return type === SOCK_STREAM && listens === 0;
}

/** The value of an option of level SOL_SOCKET; undefined if `fd` is no socket. */
export function socketOption(fd: number, option: number, bytes: number): Buffer | undefined {
  const value = Buffer.alloc(bytes);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(bytes);
  return libc().getsockopt(fd, SOL_SOCKET, option, value, size) < 0 ? undefined : value;
}

export function closeOnExec(fd: number): void {
  checked('fcntl(F_SETFD)', libc().fcntl(fd, F_SETFD, 'int', FD_CLOEXEC));
}

/** Locks the open file for this process, until its descriptor is closed (flock(2)). @returns false if another one has */
export function tryLock(fd: number): boolean {
  return libc().flock(fd, LOCK_EX | LOCK_NB) === 0;
}

/**
 * Whether some process has this file open for writing, by the kernel: a read lease is refused then (fcntl(2), F_SETLEASE).
 * @param fd open for reading only. @returns undefined where the file system or the platform does not know
 */
export function hasWriters(fd: number): boolean | undefined {
  if (platform !== 'linux') return undefined;
  // A process that opens the file for writing while we have the lease makes the kernel send a signal: SIGIO, which would end us.
  checked('fcntl(F_SETSIG)', libc().fcntl(fd, F_SETSIG, 'int', system.signals.SIGURG));
  if (libc().fcntl(fd, F_SETLEASE, 'int', F_RDLCK) < 0)
    return getSystemErrorName(-libc().errno()) === 'EAGAIN' ? true : undefined;
  libc().fcntl(fd, F_SETLEASE, 'int', F_UNLCK);
  return false;
}

/** Not fs.close: a thread of Node warns if it did not open the descriptor itself. */
export function closeDescriptor(fd: number): void {
  libc().close(fd);
}

function poll(fd: number, events: number, ms: number): boolean {
  const entry = Buffer.alloc(8); // struct pollfd: fd, events, revents
  entry.writeInt32LE(fd);
  entry.writeInt16LE(events, 4);
  return libc().poll(entry, 1, ms) > 0;
}
