// The folder of an access log that a server rotates: the lines of the log and of all its rotated files.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';

export class LogFolder implements Disposable {
  readonly folder: string;
  readonly log: string;

  constructor(folder = mkdtempSync(path.join(tmpdir(), 'mpserve-rotated-'))) {
    this.folder = folder;
    this.log = path.join(folder, 'access.log');
  }

  /** The names of the rotated files, the oldest first. */
  get rotated(): readonly string[] {
    return readdirSync(this.folder)
      .filter((name) => name.startsWith('access.log-'))
      .sort();
  }

  path(name: string): string {
    return path.join(this.folder, name);
  }

  /** Of all files, the oldest first, without the newlines; the rest after the last newline, if there is one, is a line. */
  lines(): readonly string[] {
    return [...this.rotated, 'access.log'].flatMap((name) => {
      const content = readFileSync(this.path(name));
      const lines = (name.endsWith('.gz') ? gunzipSync(content) : content).toString().split('\n');
      if (lines.at(-1) === '') lines.pop();
      return lines;
    });
  }

  /** What the lines say. Throws for one that is torn. */
  requests(): readonly { readonly url: string; readonly reqId: string }[] {
    return this.lines().map((line) => JSON.parse(line));
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
