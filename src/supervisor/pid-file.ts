// The pid file: it contains the pid of the supervisor, and prevents a second start of the same server.
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { ExitCode, StartupError } from '../errors.js';
import { tryLock } from '../os/descriptor.js';

export class PidFile {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /**
   * Writes the file, and replaces a stale one. Of two servers that start at the same time, only one succeeds.
   * @param source of the setting, for error messages
   * @throws StartupError if the process in the file is alive, or the file cannot be written
   */
  static write(path: string, source: string): PidFile {
    const temporary = temporaryFor(path);
    try {
      writePid(temporary);
      for (let tries = 1; !replaceStale(path, temporary); tries++)
        if (tries === maxTries) throw new HeldError('changes again and again; do several servers start with it?');
      return new PidFile(path);
    } catch (error) {
      if (error instanceof HeldError) {
        throw new StartupError(ExitCode.boot, `the pid file ${path} (${source}) ${error.message}`);
      }
      throw unwritable(path, source, error);
    } finally {
      rmSync(temporary, { force: true });
    }
  }

  /**
   * In a successor: replaces the file of the old server atomically.
   * @param source of the setting, for error messages. @throws StartupError
   */
  static takeOver(path: string, source: string): PidFile {
    const temporary = temporaryFor(path);
    try {
      writePid(temporary);
      renameSync(temporary, path);
      return new PidFile(path);
    } catch (error) {
      throw unwritable(path, source, error);
    } finally {
      rmSync(temporary, { force: true });
    }
  }

  /** Keeps the file if another server has replaced it. */
  remove(): void {
    try {
      if (pidIn(readFileSync(this.#path, 'utf8').trim()) === process.pid) unlinkSync(this.#path);
    } catch {} // it no longer exists, or this user may not remove it
  }
}

/** Each other server replaces the file once; a file system without stable inode numbers would look like many. */
const maxTries = 100;

/** The file belongs to another server. */
class HeldError extends Error {}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied; choose a directory that this user can write to',
  ENOENT: 'its directory does not exist; create it',
  EISDIR: 'it is a directory; choose a file',
  ELOOP: 'it is a symbolic link; name the file itself',
  ENOSPC: 'the disk is full; free some space',
  EROFS: 'the file system is read-only; choose another path',
};

function unwritable(path: string, source: string, cause: unknown): StartupError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const reason = reasons[code ?? ''] ?? message;
  return new StartupError(ExitCode.boot, `cannot write the pid file ${path} (${source}): ${reason}`, { cause });
}

/**
 * Renames `temporary` to `path`, unless that belongs to a server that runs. An empty file is stale: a server died, or an
 * earlier version found the disk full, before it had written its pid.
 * @returns false if another server has replaced the file meanwhile. @throws HeldError, or a system error
 */
function replaceStale(path: string, temporary: string): boolean {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o644); // NFS locks what may be written
  try {
    // Otherwise a server that has read the stale pid could replace the file of one that was quicker.
    if (!tryLock(file)) throw new HeldError('is being written by another server that starts');
    if (fstatSync(file).ino !== statSync(path, { throwIfNoEntry: false })?.ino) return false;
    const text = readFileSync(file, 'utf8').trim();
    const holder = pidIn(text);
    if (text !== '' && holder === undefined)
      throw new HeldError('exists and does not contain a pid; remove it or choose another path');
    if (holder !== undefined && isAlive(holder))
      throw new HeldError(
        `belongs to process ${holder}, which is running; stop it (mpserve ctl stop, or kill ${holder}), ` +
          'or remove the file if the process is not mpserve',
      );
    renameSync(temporary, path); // atomic: no reader meets a file that is not whole
    return true;
  } finally {
    closeSync(file);
  }
}

const temporaryFor = (path: string): string => `${path}.${process.pid}`;

/** Replaces a file of an earlier process with the same pid. */
function writePid(path: string): void {
  rmSync(path, { force: true });
  writeFileSync(path, `${process.pid}\n`, { flag: 'wx', mode: 0o644 });
}

function pidIn(text: string): number | undefined {
  return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : undefined;
}

function isAlive(pid: number): boolean {
  if (pid === process.pid) return false; // a stale file from before a reboot or of an earlier container
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // it runs as another user
  }
}
