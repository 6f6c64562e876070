// All directories of static files of a server, and their memory.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Config } from '../config/config.js';
import { HttpError } from '../errors.js';
import { StaticDirectory } from './directory.js';
import type { Entry } from './file-store.js';
import { Memory } from './memory.js';
import { pathOf } from './target.js';

const errorPage = '/50x.html';

export class StaticFiles {
  readonly #directories: readonly StaticDirectory[];
  readonly #isApp: boolean;
  /** Has the pages of the whole server. */
  readonly #top: StaticDirectory | undefined;
  #errorPage: Buffer | undefined;

  /** @param app the directory that is the app; undefined if the app is another one */
  constructor({ static: mounts, spa, listing, staticMemory }: Config['files'], app: string | undefined) {
    const memory = new Memory<Entry>(staticMemory);
    const own = app === undefined ? [] : [{ path: '/', dir: app, immutable: false, spa, listing, isApp: true }];
    const all = [...mounts.map((mount) => ({ ...mount, isApp: false })), ...own];
    this.#directories = all.map((options) => new StaticDirectory(options, memory, staticMemory));
    this.#isApp = app !== undefined;
    this.#top = this.#directories[all.findIndex(({ path }) => path === '/')];
  }

  /** @param at now. @param pass gives the request to the app. @throws HttpError */
  serve(req: IncomingMessage, res: ServerResponse, at: number, pass: () => unknown): unknown {
    const path = pathOf(req.url ?? '/');
    if (typeof path === 'string') {
      for (const directory of this.#directories) {
        const name = directory.nameOf(path);
        if (name !== undefined) return directory.serve({ name, path, req, res, at, pass });
      }
    } else if (this.#isApp) {
      throw new HttpError(path, `the target ${req.url} names no file`);
    }
    return pass();
  }

  /** What 50x.html was when it was last looked at, which this begins to do again. @param at now */
  errorPage(at: number): Buffer | undefined {
    void this.loadErrorPage(at);
    return this.#errorPage;
  }

  async loadErrorPage(at: number): Promise<void> {
    this.#errorPage = await this.#top?.small(errorPage, at);
  }
}
