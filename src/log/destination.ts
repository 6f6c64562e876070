// The destination of log lines: a file descriptor, and how many bytes several processes can write to it atomically.
import { accessSync, constants, fchmodSync, fchownSync, fstatSync, openSync, realpathSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { configError, ExitCode, StartupError } from '../errors.js';
import { reopen } from '../os/descriptor.js';
import { pipeAtomicBytes } from './line.js';

export interface Destination {
  readonly fd: number;
  /** Maximum number of bytes that one write(2) writes atomically. */
  readonly atomicBytes: number;
  /** Absolute path of the file; absent if mpserve has not opened it. */
  readonly path?: string;
}

/** A write to a file opened for appending is atomic at any size; this is the size of the buffer. */
const fileAtomicBytes = 65_536;

/**
 * @param from the source of the setting, for the errors
 * @param isRotated by us: must be a regular file in a directory where we may rename it. A symbolic link is followed, so
 * the file that it names is rotated where that is, and the link stays
 * @throws StartupError
 */
export function openLogFile(path: string, from: string, isRotated = false): Destination {
  // It cannot be opened by its path where it is a socket, as under systemd.
  if (path === '/dev/stdout') return standardOutput();
  if (!isRotated) return { ...open(path, from), path: resolve(path) };
  const advice = 'name another file, or leave out --log-rotate';
  const status = statSync(path, { throwIfNoEntry: false });
  if (status && !status.isFile() && !status.isDirectory())
    throw configError(`cannot rotate the log ${path} (${from}), which is not a regular file; ${advice}`);
  const opened = open(path, from);
  const file = realpathSync(path);
  try {
    accessSync(dirname(file), constants.W_OK | constants.X_OK);
  } catch (error) {
    const reason = `this user may not write to its directory ${dirname(file)}`;
    throw configError(`cannot rotate the log ${path} (${from}): ${reason}; ${advice}`, error);
  }
  return { ...opened, path: file };
}

function open(path: string, from: string): Destination {
  try {
    return destination(openSync(path, 'a', 0o640));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new StartupError(
      ExitCode.config,
      `cannot open the log file ${path} (${from}): ${reasons[code ?? ''] ?? message}; ` +
        'use a file that this user can append to',
      { cause: error },
    );
  }
}

/**
 * Reopens a log file at its path, after it was renamed. Does nothing for standard output.
 * @param isPrivileged other users may write to the directory: refuse a symbolic link, which they may have created
 * @throws Error if the file cannot be opened; the old file stays open
 */
export function reopenLog({ fd, path }: Destination, isPrivileged: boolean): void {
  if (path !== undefined) reopen(fd, path, isPrivileged);
}

/** As above, after we have renamed it: the new file gets the mode and the owner of the old one. */
export function replaceLog({ fd, path }: Destination, isPrivileged: boolean): void {
  if (path === undefined) return;
  const before = fstatSync(fd);
  const mode = before.mode & 0o777;
  reopen(fd, path, isPrivileged, mode);
  const { nlink, uid, gid } = fstatSync(fd);
  if (nlink !== 1) return; // another user has made it of a file that is not ours
  fchmodSync(fd, mode);
  if (before.uid === uid && before.gid === gid) return;
  try {
    fchownSync(fd, before.uid, before.gid);
  } catch {} // only root may give a file to another user
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  ENOENT: 'its directory does not exist',
  EISDIR: 'it is a directory',
  EROFS: 'the file system is read-only',
};

export function standardOutput(): Destination {
  return destination(1);
}

function destination(fd: number): Destination {
  let isFile = false;
  try {
    isFile = fstatSync(fd).isFile();
  } catch {} // it is closed: the first write fails
  return { fd, atomicBytes: isFile ? fileAtomicBytes : pipeAtomicBytes };
}
