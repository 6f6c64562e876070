// The rotated files of one log: `app.log-20261127T214408.123Z`, with `.gz` when it is compressed. The time is that of the
// rotation in UTC, so names sort by it whatever the time zone does. It is later than that of every file that is there,
// also if the clock has been set back, so no two rotations have a name in common.
import { closeSync, openSync, readdirSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const stamp = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)\.(\d{3})Z$/;
const compressed = '.gz';
const unfinished = '.gz.tmp';

export interface RotatedFile {
  /** Without `.gz`. */
  readonly path: string;
  /** When it was rotated, as a time of the clock (milliseconds). */
  readonly time: number;
  /** It is there without `.gz`, with it, or both: then the compression was ended before it had removed the original. */
  readonly isPlain: boolean;
  readonly isCompressed: boolean;
}

export class RotatedFiles {
  /** Of the log itself. */
  readonly #path: string;

  /** @param path absolute, without symbolic links */
  constructor(path: string) {
    this.#path = path;
  }

  /** The oldest first. @throws Error if the directory cannot be read */
  list(): readonly RotatedFile[] {
    const names = new Set(readdirSync(dirname(this.#path)));
    const prefix = `${basename(this.#path)}-`;
    const files = new Map<string, RotatedFile>();
    for (const name of names) {
      const plain = name.endsWith(compressed) ? name.slice(0, -compressed.length) : name;
      const time = plain.startsWith(prefix) ? timeOf(plain.slice(prefix.length)) : undefined;
      if (time === undefined) continue;
      const [isPlain, isCompressed] = [names.has(plain), names.has(plain + compressed)];
      files.set(plain, { path: join(dirname(this.#path), plain), time, isPlain, isCompressed });
    }
    return [...files.values()].sort((a, b) => a.time - b.time);
  }

  /** Renames the log. @param now a time of the clock. @returns the new path. @throws Error; then nothing has changed */
  rotate(now: number): string {
    const last = this.list().at(-1)?.time ?? 0;
    const path = this.#reserve(Math.max(now, last + 1));
    try {
      renameSync(this.#path, path);
    } catch (error) {
      unlinkSync(path);
      throw error;
    }
    return path;
  }

  /** The log could not be opened again: gives it its name back, unless something else has that by now. */
  undo(path: string): void {
    if (statSync(this.#path, { throwIfNoEntry: false }) === undefined) renameSync(path, this.#path);
  }

  /** Deletes all but the newest `keep`. */
  expire(keep: number): void {
    for (const { path, isPlain, isCompressed } of this.list().slice(0, -keep)) {
      if (isPlain) unlinkSync(path);
      if (isCompressed) unlinkSync(path + compressed);
    }
  }

  /** Deletes what compressions have left that were ended. None may be in progress. */
  tidy(): void {
    const prefix = `${basename(this.#path)}-`;
    for (const name of readdirSync(dirname(this.#path))) {
      if (!name.startsWith(prefix) || !name.endsWith(unfinished)) continue;
      if (timeOf(name.slice(prefix.length, -unfinished.length)) !== undefined)
        unlinkSync(join(dirname(this.#path), name));
    }
    for (const { path, isPlain, isCompressed } of this.list()) if (isPlain && isCompressed) unlinkSync(path);
  }

  /** Another process may rotate the same log. @returns the path of a new empty file, for the log to replace */
  #reserve(time: number): string {
    for (let at = time; ; at++) {
      const path = `${this.#path}-${new Date(at).toISOString().replace(/[-:]/g, '')}`;
      try {
        closeSync(openSync(path, 'wx', 0o600));
        return path;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
  }
}

/** The names of the compressed file, while it is written and when it is whole. */
export function compressedNames(path: string): { readonly unfinished: string; readonly whole: string } {
  return { unfinished: path + unfinished, whole: path + compressed };
}

function timeOf(text: string): number | undefined {
  const parts = stamp.exec(text);
  if (!parts) return undefined;
  const [, year, month, day, hour, minute, second, ms] = parts.map(Number) as number[];
  return Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second, ms);
}
