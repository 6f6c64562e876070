// Rotates the log files (--log-rotate): renames a file, has every process open the new one, and then deletes and compresses
// old files. A rotated file is compressed only when all workers have opened the new one, and no process writes to it.
import { now } from '../clock.js';
import type { Config } from '../config/config.js';
import type { Period, Rotation } from '../config/rotation.js';
import type { Events } from '../events.js';
import { compress } from '../log/compression.js';
import { type RotatedFile, RotatedFiles } from '../log/rotated-files.js';
import type { LogFiles } from './log-files.js';

const checkIntervalMs = 200;
/** After a failure: the disk or the directory must be looked after, which takes an operator. */
const retryMs = 60_000;
/** While a worker is too busy to open the new file, or another process writes to the old one. */
const laterMs = 2000;

export interface LogRotationOptions {
  readonly files: LogFiles;
  readonly rotation: Rotation;
  readonly logging: Pick<Config['logging'], 'logKeep' | 'logCompress'>;
  readonly events: Events;
  /** Another server is about to open the files. */
  readonly isPaused: () => boolean;
}

/** Times are of `clock.ts`, in milliseconds; Infinity: not before something happens. */
interface Log {
  readonly path: string;
  readonly rotated: RotatedFiles;
  /** When the period began that the file is of, as a time of the day. */
  periodStart: number;
  /** Since the start of this server. */
  rotations: number;
  /** Rotating it has failed: when to try again. */
  retryAt: number;
  /** When a failure was logged: not again for some time. */
  failedAt: number;
  /** Some workers may write to an old file: when to ask them again. */
  reopenAt: number;
  isReopened: boolean;
  /** When to see which old files may be deleted or compressed. */
  tidyAt: number;
  isTidying: boolean;
}

export class LogRotation {
  readonly #options: LogRotationOptions;
  readonly #logs: readonly Log[];
  readonly #closing = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(options: LogRotationOptions) {
    const { files, rotation } = options;
    this.#options = options;
    this.#logs = files.paths.map((path) => {
      const { writtenAt } = files.look(path);
      const periodStart = 'every' in rotation ? startOf(rotation.every, writtenAt) : 0;
      return {
        ...{ path, periodStart, rotated: new RotatedFiles(path), rotations: 0 },
        ...{ retryAt: 0, failedAt: Number.NEGATIVE_INFINITY, reopenAt: Number.POSITIVE_INFINITY, tidyAt: 0 },
        ...{ isReopened: true, isTidying: false }, // workers have inherited it opened
      };
    });
    for (const log of this.#logs) this.#try(log, () => log.rotated.tidy());
    this.#timer = setInterval(() => this.#check(), checkIntervalMs);
    this.#timer.unref();
  }

  /** From now on nothing is rotated, and no compression goes on. */
  close(): void {
    clearInterval(this.#timer);
    this.#closing.abort();
  }

  #check(): void {
    if (this.#options.isPaused()) return;
    const time = now();
    for (const log of this.#logs) {
      // Not before the workers have opened the last one, or one of them is too busy for that.
      const isReopening = !log.isReopened && log.reopenAt === Number.POSITIVE_INFINITY;
      if (time >= log.retryAt && !isReopening) {
        log.retryAt = time + retryMs; // if it fails
        if (this.#try(log, () => this.#rotateIfDue(log, Date.now()))) log.retryAt = 0;
      }
      if (time >= log.reopenAt) void this.#reopen(log);
      if (time >= log.tidyAt && log.isReopened && !log.isTidying) void this.#tidy(log);
    }
  }

  #rotateIfDue(log: Log, at: number): void {
    if (this.#isDue(log, at)) this.#rotate(log, at);
  }

  #isDue(log: Log, at: number): boolean {
    const { files, rotation } = this.#options;
    const { bytes } = files.look(log.path);
    if ('bytes' in rotation) return bytes >= rotation.bytes;
    const periodStart = startOf(rotation.every, at);
    if (periodStart <= log.periodStart) return false;
    if (bytes > 0) return true;
    log.periodStart = periodStart;
    return false;
  }

  /** In one go, so that no other server and no operator comes in between. @throws Error; then the log is as before */
  #rotate(log: Log, at: number): void {
    const { files, rotation, events } = this.#options;
    const { bytes } = files.look(log.path);
    const rotated = log.rotated.rotate(at);
    try {
      files.replace(log.path);
    } catch (error) {
      log.rotated.undo(rotated);
      throw error;
    }
    if ('every' in rotation) log.periodStart = startOf(rotation.every, at);
    log.rotations++;
    log.isReopened = false;
    void this.#reopen(log);
    events.tell({ event: 'log-rotated', file: log.path, rotated, bytes });
  }

  /** Has all workers open the new file; is repeated until each has. */
  async #reopen(log: Log): Promise<void> {
    const { rotations } = log;
    log.reopenAt = Number.POSITIVE_INFINITY;
    try {
      await this.#options.files.reopenInWorkers(log.path);
      if (rotations !== log.rotations) return; // it was rotated again meanwhile
      log.isReopened = true;
      log.tidyAt = 0;
    } catch (error) {
      log.reopenAt = now() + laterMs;
      this.#failed(log, error);
    }
  }

  /** Deletes and compresses old files, until there is nothing to do. */
  async #tidy(log: Log): Promise<void> {
    const { logging } = this.#options;
    const written = new Set<string>();
    log.isTidying = true;
    log.tidyAt = Number.POSITIVE_INFINITY;
    try {
      for (;;) {
        if (log.isReopened) log.rotated.expire(logging.logKeep);
        const next =
          logging.logCompress && log.rotated.list().find((one) => isToCompress(one) && !written.has(one.path));
        if (!next) break;
        if ((await compress(next.path, this.#closing.signal)) === 'written') written.add(next.path);
      }
    } catch (error) {
      log.tidyAt = now() + retryMs;
      this.#failed(log, error);
    }
    if (written.size > 0) log.tidyAt = Math.min(log.tidyAt, now() + laterMs);
    log.isTidying = false;
  }

  #try(log: Log, work: () => void): boolean {
    try {
      work();
      return true;
    } catch (error) {
      this.#failed(log, error);
      return false;
    }
  }

  #failed(log: Log, error: unknown): void {
    if (this.#closing.signal.aborted || now() - log.failedAt < retryMs) return;
    log.failedAt = now();
    this.#options.events.tell({ event: 'log-rotation-failed', file: log.path, reason: (error as Error).message });
  }
}

const isToCompress = ({ isPlain, isCompressed }: RotatedFile): boolean => isPlain && !isCompressed;

/** The begin of the day or hour, in local time. */
function startOf(period: Period, time: number): number {
  const start = new Date(time);
  if (period === 'daily') start.setHours(0, 0, 0, 0);
  else start.setMinutes(0, 0, 0);
  return start.getTime();
}
