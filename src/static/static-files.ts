// All directories of static files of a server, and their memory.
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { LRUCache } from 'lru-cache';
import type { ServedFiles } from '../config/config.js';
import { HttpError } from '../errors.js';
import { type FileResponse, StaticDirectory } from './directory.js';
import type { Entry } from './file-store.js';
import { pathOf } from './target.js';

const errorPage = '/50x.html';

/** A directory that has gone meanwhile may come back. */
const noAccess =
  (dir: string) =>
  ({ code = '', message }: NodeJS.ErrnoException) =>
    code === 'EACCES' || code === 'EPERM' ? { dir, reason: message } : undefined;

export class StaticFiles {
  readonly #directories: readonly StaticDirectory[];
  readonly #isApp: boolean;
  /** Has the pages of the whole server. */
  readonly #top: StaticDirectory | undefined;
  #errorPage: Buffer | undefined;

  constructor({ static: mounts, spa, listing, staticMemory, root }: ServedFiles) {
    // With 0 nothing fits.
    const memory = new LRUCache<string, Entry>({
      maxSize: Math.max(1, staticMemory),
      sizeCalculation: ({ weight }) => weight,
    });
    const own = root === undefined ? [] : [{ path: '/', dir: root, immutable: false, spa, listing, isApp: true }];
    const all = [...mounts.map((mount) => ({ ...mount, isApp: false })), ...own];
    this.#directories = all.map((options) => new StaticDirectory(options, memory, staticMemory));
    this.#isApp = root !== undefined;
    this.#top = this.#directories[all.findIndex(({ path }) => path === '/')];
  }

  /** What it may not read: a worker may have fewer rights than the supervisor, which has looked before. */
  async unreadable(): Promise<{ readonly dirs: readonly string[]; readonly reason: string } | undefined> {
    const checks = this.#directories.map(({ dir }) =>
      access(dir, constants.R_OK | constants.X_OK).then(() => undefined, noAccess(dir)),
    );
    const [first, ...others] = (await Promise.all(checks)).filter((one) => one !== undefined);
    return first && { dirs: [first, ...others].map(({ dir }) => dir), reason: first.reason };
  }

  /** @param at now. @param pass gives the request to the app. @throws HttpError */
  serve(req: IncomingMessage, res: FileResponse, at: number, pass: () => unknown): unknown {
    const path = pathOf(req.url ?? '/');
    if (typeof path === 'string') return this.#serveFrom(0, path, req, res, at, pass);
    if (this.#isApp) throw new HttpError(path, `the target ${req.url} names no file`);
    return pass();
  }

  /** What is not in a directory may be in a later one: the last may be the app. */
  #serveFrom(
    first: number,
    path: string,
    req: IncomingMessage,
    res: FileResponse,
    at: number,
    pass: () => unknown,
  ): unknown {
    for (let i = first; i < this.#directories.length; i++) {
      const directory = this.#directories[i] as StaticDirectory;
      const name = directory.nameOf(path);
      if (name === undefined) continue;
      const next = i + 1 < this.#directories.length ? () => this.#serveFrom(i + 1, path, req, res, at, pass) : pass;
      return directory.serve({ name, path, req, res, at, pass: next });
    }
    return pass();
  }

  /** What 50x.html was when it was last looked at, which this begins to do again. @param at now */
  errorPage(at: number): Buffer | undefined {
    void this.loadErrorPage(at);
    return this.#errorPage;
  }

  async loadErrorPage(at: number): Promise<void> {
    // While the system cannot read it, the page is as it was.
    this.#errorPage = await this.#top?.small(errorPage, at).catch(() => this.#errorPage);
  }
}
