// The configuration as the rest of the program sees it: resolved, checked, frozen. Made by `load.ts` only.
import type { Measure, Range } from '../upkeep/scaler.js';
import type { Address } from './address.js';
import type { Accept } from './model.js';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

export interface Config {
  /** `file`, `file#export` or a directory as the user gave it, with the extension that was left off; undefined runs the demo app. */
  readonly app: string | undefined;
  readonly model: string;
  readonly bind: readonly Address[];
  /** Worker processes, at least 1; what `auto` came to. 1 where the model has no choice. */
  readonly workers: number;
  /** Threads in each worker process, at least 1; 1 where the model has none. */
  readonly threads: number;
  /** Between which the number of workers, and of threads in each, follows the load; both the same where it does not. */
  readonly minWorkers: number;
  readonly maxWorkers: number;
  readonly minThreads: number;
  readonly maxThreads: number;
  /** Idle ones that such a pool keeps, at least and at most. */
  readonly spareMin: number;
  readonly spareMax: number;
  /** For how long there must be more, before they go. */
  readonly idleTimeout: number;
  readonly scaleOn: Measure;
  /** Bytes of JavaScript objects in each thread; 0 is what V8 makes of the machine. */
  readonly maxThreadHeap: number;
  /** undefined where the model has no choice. */
  readonly accept: Accept | undefined;
  readonly maxConnections: number;
  readonly backlog: number;
  /** All times in milliseconds. 0 turns a timeout off. */
  readonly headerTimeout: number;
  readonly requestTimeout: number;
  readonly keepAliveTimeout: number;
  readonly gracefulTimeout: number;
  readonly bootTimeout: number;
  /** An event loop that stands still for so long is ended. */
  readonly hangTimeout: number;
  /** Deaths of workers at which a request has been in flight, until it is refused; 0 is never. */
  readonly quarantineAfter: number;
  /** From the head of a request until its answer is whole. */
  readonly requestDeadline: number;
  /** Sizes in bytes. `maxBodySize` 0 is no limit. */
  readonly maxHeaderSize: number;
  readonly maxBodySize: number;
  /** 0 is no limit. */
  readonly maxRequestsPerConnection: number;
  /** Asked of each worker until the answer is good, before it counts as ready. */
  readonly readyPath: string | undefined;
  /** When draining, an idle connection is closed after so long without a byte. */
  readonly drainQuiet: number;
  /** Kept-alive connections are carried over to other workers. */
  readonly migrate: boolean;
  /** Requests of a new generation that are compared with the old one's at a reload; 0 is none. */
  readonly canary: number;
  /** Processes or threads that wait, with the app loaded, for a connection each. */
  readonly spares: number;
  /** When a worker is replaced: requests that it has served and up to so many more, bytes of memory, milliseconds. 0 is never. */
  readonly maxRequests: number;
  readonly maxRequestsJitter: number;
  readonly maxMemory: number;
  readonly maxAge: number;
  /** Whom the workers are, by name or number; undefined is whoever has started the server. */
  readonly user: string | undefined;
  readonly group: string | undefined;
  /** Of the workers (umask(2)); undefined is as it was. */
  readonly umask: number | undefined;
  /** Of the Unix sockets among `bind`, as in chmod(2). */
  readonly socketMode: number;
  /** Go on in a process of its own; undefined means no such file. */
  readonly daemon: boolean;
  readonly pidFile: string | undefined;
  /** Path of the control socket; undefined for none. */
  readonly control: string | undefined;
  readonly logFile: string | undefined;
  readonly logLevel: LogLevel;
  /** undefined: pretty on a terminal, JSON elsewhere. */
  readonly logFormat: 'json' | 'pretty' | undefined;
  /** A path, `-` for standard output, or undefined for none (`off`). */
  readonly accessLog: string | undefined;
  readonly captureOutput: boolean;
  /** Arguments for the `node` of the workers, such as `--max-old-space-size=512`. */
  readonly nodeArg: readonly string[];
  /** Lets the demo app answer `/crash` and `/hang`. */
  readonly demoFaults: boolean;
}

/** Whether the load moves the number of workers or of threads. */
export function isElastic({ minWorkers, maxWorkers, minThreads, maxThreads }: Config): boolean {
  return minWorkers < maxWorkers || minThreads < maxThreads;
}

/** What a pool that follows the load is told. */
export function rangeOf(
  { spareMin, spareMax, idleTimeout, scaleOn }: Pick<Config, 'spareMin' | 'spareMax' | 'idleTimeout' | 'scaleOn'>,
  min: number,
  max: number,
): Range {
  return { min, max, spareMin, spareMax, idleMs: idleTimeout, measure: scaleOn };
}

/** What bounds one connection and its requests; the pipeline's part of the configuration. */
export type Limits = Pick<
  Config,
  | 'headerTimeout'
  | 'requestTimeout'
  | 'keepAliveTimeout'
  | 'maxHeaderSize'
  | 'maxBodySize'
  | 'maxRequestsPerConnection'
  | 'requestDeadline'
  | 'drainQuiet'
>;
