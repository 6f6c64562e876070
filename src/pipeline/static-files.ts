// The stage that serves static files in front of the app. A worker loads it only where the configuration has files.
import { now } from '../clock.js';
import type { ServedFiles } from '../config/config.js';
import type { WorkerEvent } from '../events.js';
import { StaticFiles } from '../static/static-files.js';
import type { Stage } from './stage.js';

export class StaticStage {
  readonly #files: StaticFiles;
  readonly #isApp: boolean;

  private constructor(files: StaticFiles, isApp: boolean) {
    this.#files = files;
    this.#isApp = isApp;
  }

  static async create(served: ServedFiles, tell: (event: WorkerEvent) => void): Promise<StaticStage> {
    const files = new StaticFiles(served);
    const unreadable = await files.unreadable();
    if (unreadable) tell({ event: 'static-unreadable', ...unreadable });
    await files.loadErrorPage(now());
    return new StaticStage(files, served.root !== undefined);
  }

  readonly stage: Stage = (next) => (req, res, reqId) => {
    res.isInApp = this.#isApp;
    return this.#files.serve(req, res, res.begunAt, () => next(req, res, reqId));
  };

  /** The page for errors of the app and of files. */
  readonly errorPage = (): Buffer | undefined => this.#files.errorPage(now());
}
