// The file with the number of the supervisor's process: for scripts, and so that nobody starts the same server twice.
import { readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { ExitCode, StartupError } from '../errors.js';

export class PidFile {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /**
   * Writes it; one that a dead process has left behind is replaced.
   * @param from where `path` was configured, in words. @throws StartupError
   */
  static write(path: string, from: string): PidFile {
    const named = `the pid file ${path} (${from})`;
    const holder = readPid(path);
    if (holder !== undefined && isAlive(holder)) {
      throw new StartupError(
        ExitCode.boot,
        `${named} belongs to process ${holder}, which is alive; stop it (mpserve ctl stop, or kill ${holder}), or remove the file if that is no server`,
      );
    }
    try {
      if (holder !== undefined) unlinkSync(path);
      // Exclusively: of two that start at the same time where there is none, one has it.
      writeFileSync(path, content(), { flag: 'wx', mode: 0o644 });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new StartupError(ExitCode.boot, `cannot write ${named}: ${reasons[code ?? ''] ?? message}`, {
        cause: error,
      });
    }
    return new PidFile(path);
  }

  /** Puts our number in the place of that of the server whose heir we are: at no moment there is none. @throws Error */
  static takeOver(path: string): PidFile {
    const fresh = `${path}.${process.pid}`;
    writeFileSync(fresh, content(), { flag: 'wx', mode: 0o644 });
    renameSync(fresh, path);
    return new PidFile(path);
  }

  /** Not if another server has put its own in its place. */
  remove(): void {
    try {
      if (readPid(this.#path) === process.pid) unlinkSync(this.#path);
    } catch {} // it is gone already, or may not be removed
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied; name one in a directory that this user may write to',
  ENOENT: 'its directory does not exist; create it',
  EEXIST: 'there is a file without the number of a process; remove it, or name another',
  EISDIR: 'it is a directory; name a file',
  EROFS: 'the file system is read-only; name one elsewhere',
};

const content = (): string => `${process.pid}\n`;

/** undefined when there is none, or something else in it. */
function readPid(path: string): number | undefined {
  try {
    const text = readFileSync(path, 'utf8').trim();
    return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  if (pid === process.pid) return false; // it was ours in a former life, before the system began anew
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // it lives, and is another user's
  }
}
