// Where log lines go: which descriptor, and in pieces of what size it takes them whole from several processes.
import { fstatSync, openSync } from 'node:fs';
import { resolve } from 'node:path';
import { ExitCode, StartupError } from '../errors.js';
import { reopen } from '../os/descriptor.js';
import { wholeInPipe } from './line.js';

export interface Destination {
  readonly fd: number;
  /** Bytes that one write(2) puts there in one piece. */
  readonly whole: number;
  /** Where it is, absolute; absent where it is no file that we opened. */
  readonly path?: string;
}

/** A file opened for appending takes any write whole; this is only how much is gathered for one. */
const wholeInFile = 65_536;

/** @param from where `path` was configured, in words, for the error. @throws StartupError */
export function openLogFile(path: string, from: string): Destination {
  try {
    return { ...destination(openSync(path, 'a', 0o640)), path: resolve(path) };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new StartupError(
      ExitCode.config,
      `cannot open the log file ${path} (${from}): ${reasons[code ?? ''] ?? message}; ` +
        'name a file that this user may append to',
      { cause: error },
    );
  }
}

/**
 * Goes on in a file of the same path, if it is a file.
 * @param isPrivileged others than we may write to its folder: what is there must not be a link that they have made
 * @throws Error when that cannot be opened; it stays the old one
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
  } catch {} // closed: the first write will tell
  return { fd, whole: isFile ? wholeInFile : wholeInPipe };
}
