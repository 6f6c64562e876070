// The resolved configuration, as the rest of the program reads it: checked and frozen. Only `load.ts` creates it.
import type { Measure, Range } from '../scaling/scaler.js';
import type { Address } from './address.js';
import type { Accept } from './model.js';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

export interface Config {
  /**
   * `file`, `file#export` or a directory as the user gave it, with the file's extension; undefined runs the demo app.
   */
  readonly app: string | undefined;
  readonly model: string;
  readonly bind: readonly Address[];
  /** Number of worker processes, at least 1, with `auto` resolved. 1 in models that do not let the user choose. */
  readonly workers: number;
  /** Number of threads in each worker process, at least 1; 1 in models without threads. */
  readonly threads: number;
  /**
   * Bounds between which the number of workers, and of threads in each worker, scales with the load; equal if it is
   * fixed.
   */
  readonly minWorkers: number;
  readonly maxWorkers: number;
  readonly minThreads: number;
  readonly maxThreads: number;
  /** Minimum and maximum number of idle workers (or threads) in a pool that scales. */
  readonly spareMin: number;
  readonly spareMax: number;
  /** Milliseconds for which more than `spareMax` must be idle before the pool shrinks. */
  readonly idleTimeout: number;
  readonly scaleOn: Measure;
  /** Maximum JavaScript heap of each thread in bytes; 0 uses V8's default. */
  readonly maxThreadHeap: number;
  /** undefined in models that do not let the user choose. */
  readonly accept: Accept | undefined;
  readonly maxConnections: number;
  readonly backlog: number;
  /** All timeouts are in milliseconds; 0 turns a timeout off. */
  readonly headerTimeout: number;
  readonly requestTimeout: number;
  readonly keepAliveTimeout: number;
  readonly gracefulTimeout: number;
  readonly bootTimeout: number;
  /** A worker or thread whose event loop is blocked for this long is replaced. */
  readonly hangTimeout: number;
  /** A request that was in flight at this many worker deaths is refused; 0 turns this off. */
  readonly quarantineAfter: number;
  /** Time from the request headers to the end of the response. */
  readonly requestDeadline: number;
  /** Sizes in bytes. `maxBodySize` 0 is no limit. */
  readonly maxHeaderSize: number;
  readonly maxBodySize: number;
  /** 0 is no limit. */
  readonly maxRequestsPerConnection: number;
  /** A worker is ready when `GET readyPath` returns 2xx or 3xx; undefined: when it has loaded the app. */
  readonly readyPath: string | undefined;
  /** While draining, an idle connection is closed after this many milliseconds without a byte. */
  readonly drainQuiet: number;
  /** Whether keep-alive connections of a worker that is replaced migrate to other workers. */
  readonly migrate: boolean;
  /**
   * Number of requests of a new generation that a reload compares with those of the old generation; 0 turns this off.
   */
  readonly canary: number;
  /** Number of processes or threads that are kept ready with the app loaded; each then serves one connection. */
  readonly spares: number;
  /**
   * Recycle limits: requests answered, a random addition to that limit, bytes of resident memory, age in milliseconds. 0
   * is no limit.
   */
  readonly maxRequests: number;
  readonly maxRequestsJitter: number;
  readonly maxMemory: number;
  readonly maxAge: number;
  /** User and group of the workers, by name or number; undefined keeps those of the supervisor. */
  readonly user: string | undefined;
  readonly group: string | undefined;
  /** File mode creation mask of the workers (umask(2)); undefined inherits it. */
  readonly umask: number | undefined;
  /** Mode of the Unix sockets in `bind`, as in chmod(2). */
  readonly socketMode: number;
  /** Run in the background. */
  readonly daemon: boolean;
  /** undefined writes no pid file. */
  readonly pidFile: string | undefined;
  /** Path of the control socket; undefined opens none. */
  readonly control: string | undefined;
  readonly logFile: string | undefined;
  readonly logLevel: LogLevel;
  /** undefined: pretty on a terminal, JSON elsewhere. */
  readonly logFormat: 'json' | 'pretty' | undefined;
  /** A path, `-` for standard output, or undefined for no access log (`off`). */
  readonly accessLog: string | undefined;
  readonly captureOutput: boolean;
  /** Options for the `node` process of each worker, such as `--max-old-space-size=512`. */
  readonly nodeArg: readonly string[];
  /** Enables `/crash` and `/hang` in the demo app. */
  readonly demoFaults: boolean;
}

/** Whether the number of workers or of threads scales with the load. */
export function isElastic({ minWorkers, maxWorkers, minThreads, maxThreads }: Config): boolean {
  return minWorkers < maxWorkers || minThreads < maxThreads;
}

/** The bounds and thresholds of a pool that scales with the load. */
export function rangeOf(
  { spareMin, spareMax, idleTimeout, scaleOn }: Pick<Config, 'spareMin' | 'spareMax' | 'idleTimeout' | 'scaleOn'>,
  min: number,
  max: number,
): Range {
  return { min, max, spareMin, spareMax, idleMs: idleTimeout, measure: scaleOn };
}

/** The limits on one connection and its requests: the part of the configuration that the pipeline reads. */
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
