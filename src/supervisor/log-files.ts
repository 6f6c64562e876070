// The log files of the server, which are opened again by their names after they have been renamed: by an operator, or by
// `LogRotation`. Workers write the access log themselves, so each does the same.
import { fchownSync, fstatSync, statSync } from 'node:fs';
import path from 'node:path';
import { Refused } from '../control/refused.js';
import { type Destination, reopenLog, replaceLog } from '../log/destination.js';
import type { Worker } from '../worker/worker.js';
import type { ServerResources } from './resources.js';

export interface LogFilesOptions {
  /** May include destinations that are not files. */
  readonly logs: readonly Destination[];
  readonly accessLog: ServerResources['accessLog'];
  /** All that live, those that drain included. */
  readonly workers: () => readonly Worker[];
  /** Of the workers; absent where they have those of this process. */
  readonly owner: () => { readonly uid?: number; readonly gid?: number };
}

export class LogFiles {
  readonly #options: LogFilesOptions;

  constructor(options: LogFilesOptions) {
    this.#options = options;
  }

  /** The absolute paths, each once. */
  get paths(): readonly string[] {
    return [...new Set(this.#options.logs.flatMap(({ path }) => path ?? []))];
  }

  /** The directories that keep the workers' user from opening the access log by its name, each once. */
  get closedToWorkers(): readonly string[] {
    const { accessLog, owner } = this.#options;
    const { uid, gid } = owner();
    if (uid === undefined || uid === 0 || typeof accessLog !== 'object' || accessLog.path === undefined) return [];
    const closed: string[] = [];
    for (let dir = path.dirname(accessLog.path); ; dir = path.dirname(dir)) {
      if (!mayEnter(dir, uid, gid)) closed.push(dir);
      if (dir === path.dirname(dir)) return closed;
    }
  }

  /** How large the file is that is open (bytes), and when it was last written to. */
  look(file: string): { readonly bytes: number; readonly writtenAt: number } {
    const log = this.#options.logs.find((one) => one.path === file);
    if (!log) throw new Error(`${file} is no log file`);
    const { size, mtimeMs } = fstatSync(log.fd);
    return { bytes: size, writtenAt: mtimeMs };
  }

  /**
   * Settles when no worker writes to the old files any more.
   * @throws Error if one could not be opened; this process, or that worker, writes to the old one
   */
  async reopen(): Promise<void> {
    for (const log of this.#options.logs) this.#open(log, reopenLog);
    const { accessLog } = this.#options;
    if (typeof accessLog === 'object' && accessLog.path !== undefined) await this.reopenInWorkers(accessLog.path);
  }

  /** In this process, which has renamed it: the new file is as private as the old one, and there for the workers. @throws Error */
  replace(file: string): void {
    for (const log of this.#options.logs) if (log.path === file) this.#open(log, replaceLog);
  }

  /** @throws Error if a worker could not; the others have */
  async reopenInWorkers(file: string): Promise<void> {
    const { accessLog, workers } = this.#options;
    if (typeof accessLog !== 'object' || accessLog.path !== file) return;
    const outcomes = await Promise.allSettled(workers().map((worker) => worker.reopen(file)));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  #open(log: Destination, open: typeof reopenLog): void {
    const { accessLog, owner } = this.#options;
    const { uid, gid } = owner();
    const hasOwner = uid !== undefined || gid !== undefined;
    open(log, hasOwner);
    if (log === accessLog && log.path !== undefined && hasOwner) giveToWorkers(log.fd, uid, gid);
  }
}

/**
 * Makes the workers' user the owner, so that they can open the file. Never for a hard link, which may be another user's
 * file.
 */
function giveToWorkers(fd: number, uid = -1, gid = -1): void {
  const stat = fstatSync(fd);
  if (!stat.isFile() || stat.nlink !== 1)
    throw new Refused('cannot change the owner of the access log, because it is not a regular file or has hard links');
  fchownSync(fd, uid, gid);
}

/** By its mode: the workers have no other groups than this one. An access control list may say otherwise. */
function mayEnter(dir: string, uid: number, gid: number | undefined): boolean {
  const stat = statSync(dir);
  const shift = stat.uid === uid ? 6 : stat.gid === gid ? 3 : 0;
  return ((stat.mode >> shift) & 1) === 1;
}
