// The destination of log lines: a file descriptor, and how many bytes several processes can write to it atomically.
import { fstatSync, openSync } from 'node:fs';
import { resolve } from 'node:path';
import { ExitCode, StartupError } from '../errors.js';
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

/** @param from the source of the setting, for the error. @throws StartupError */
export function openLogFile(path: string, from: string): Destination {
  // It cannot be opened by its path where it is a socket, as under systemd.
  if (path === '/dev/stdout') return standardOutput();
  try {
    return { ...destination(openSync(path, 'a', 0o640)), path: resolve(path) };
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
