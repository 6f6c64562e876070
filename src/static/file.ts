// An open file, and what tells one version of a file from another.
import fs from 'node:fs';

/** Nanoseconds, as a file may change more often than once in a millisecond. */
export interface FileStat {
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ino: bigint;
  readonly dev: bigint;
}

export function isSameVersion(one: FileStat, other: FileStat): boolean {
  return one.size === other.size && one.mtimeNs === other.mtimeNs && one.ino === other.ino && one.dev === other.dev;
}

/** Reads one file, whatever becomes of its name meanwhile. */
export class OpenFile {
  readonly #fd: number;

  private constructor(
    fd: number,
    /** When it was opened. */
    readonly stat: fs.BigIntStats,
  ) {
    this.#fd = fd;
  }

  /** Rejects with the error of open(2). Never waits for the writer of a pipe. */
  static async open(path: string): Promise<OpenFile> {
    const { O_RDONLY, O_NONBLOCK, O_NOCTTY } = fs.constants;
    const fd = await called<number>((done) => fs.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, done));
    try {
      return new OpenFile(fd, await called<fs.BigIntStats>((done) => fs.fstat(fd, { bigint: true }, done)));
    } catch (error) {
      fs.close(fd);
      throw error;
    }
  }

  /**
   * Opens a file that was read a moment ago, so that the system has all that it needs in memory: a thread of its own would
   * take several times as long as the calls. @returns undefined if it is another version by now
   */
  static reopen(path: string, version: FileStat): OpenFile | undefined {
    const { O_RDONLY, O_NONBLOCK, O_NOCTTY } = fs.constants;
    let fd: number | undefined;
    try {
      fd = fs.openSync(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
      const stat = fs.fstatSync(fd, { bigint: true });
      if (isSameVersion(versionOf(stat), version)) return new OpenFile(fd, stat);
    } catch {} // it has gone, or there is no descriptor for it
    if (fd !== undefined) fs.closeSync(fd);
    return undefined;
  }

  get version(): FileStat {
    return versionOf(this.stat);
  }

  /** The path of the file itself, without links; undefined where the system does not tell. */
  async realPath(): Promise<string | undefined> {
    return called<string>((done) => fs.readlink(`/proc/self/fd/${this.#fd}`, done)).catch(() => undefined);
  }

  /** @returns the bytes read, fewer than asked for only at the end of the file */
  async read(buffer: Buffer, position: number): Promise<number> {
    let filled = 0;
    while (filled < buffer.length) {
      const rest = buffer.length - filled;
      const count = await called<number>((done) => fs.read(this.#fd, buffer, filled, rest, position + filled, done));
      if (count === 0) break;
      filled += count;
    }
    return filled;
  }

  /** @returns all bytes; undefined if the file has changed while it was read */
  async readWhole(): Promise<Buffer | undefined> {
    const buffer = Buffer.allocUnsafeSlow(this.version.size);
    const count = await this.read(buffer, 0);
    return count === buffer.length && this.isUnchanged() ? buffer : undefined;
  }

  /** Since it was opened. */
  isUnchanged(): boolean {
    return isSameVersion(versionOf(fs.fstatSync(this.#fd, { bigint: true })), this.version);
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

/** undefined if there is none. */
export async function statOf(path: string): Promise<fs.BigIntStats | undefined> {
  return called<fs.BigIntStats>((done) => fs.stat(path, { bigint: true }, done)).catch(() => undefined);
}

export function versionOf({ size, mtimeNs, ino, dev }: fs.BigIntStats): FileStat {
  return { size: Number(size), mtimeNs, ino, dev };
}

/** Half the time of a promise of `fs/promises`, which also makes an object for each descriptor. */
function called<T>(call: (done: (error: Error | null, value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, value) => (error ? reject(error) : resolve(value)));
  });
}
