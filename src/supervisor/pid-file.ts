// The pid file: it contains the pid of the supervisor, and prevents a second start of the same server.
import { readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { ExitCode, StartupError } from '../errors.js';

export class PidFile {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /**
   * Writes the file, and replaces a stale one.
   * @param source of the setting, for error messages
   * @throws StartupError if the process in the file is alive, or the file cannot be written
   */
  static write(path: string, source: string): PidFile {
    const pidFile = `the pid file ${path} (${source})`;
    const holder = readPid(path);
    if (holder !== undefined && isAlive(holder)) {
      throw new StartupError(
        ExitCode.boot,
        `${pidFile} belongs to process ${holder}, which is running; stop it (mpserve ctl stop, or kill ${holder}), or remove the file if the process is not mpserve`,
      );
    }
    try {
      if (holder !== undefined) unlinkSync(path);
      // Exclusive: if two servers start at the same time, only one succeeds.
      writeFileSync(path, content(), { flag: 'wx', mode: 0o644 });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new StartupError(ExitCode.boot, `cannot write ${pidFile}: ${reasons[code ?? ''] ?? message}`, {
        cause: error,
      });
    }
    return new PidFile(path);
  }

  /** In a successor: replaces the file of the old server atomically. @throws Error */
  static takeOver(path: string): PidFile {
    const temporary = `${path}.${process.pid}`;
    writeFileSync(temporary, content(), { flag: 'wx', mode: 0o644 });
    renameSync(temporary, path);
    return new PidFile(path);
  }

  /** Keeps the file if another server has replaced it. */
  remove(): void {
    try {
      if (readPid(this.#path) === process.pid) unlinkSync(this.#path);
    } catch {} // it no longer exists, or this user may not remove it
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied; choose a directory that this user can write to',
  ENOENT: 'its directory does not exist; create it',
  EEXIST: 'the file exists and does not contain a pid; remove it or choose another path',
  EISDIR: 'it is a directory; choose a file',
  EROFS: 'the file system is read-only; choose another path',
};

const content = (): string => `${process.pid}\n`;

/** undefined if the file does not exist or does not contain a pid. */
function readPid(path: string): number | undefined {
  try {
    const text = readFileSync(path, 'utf8').trim();
    return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
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
