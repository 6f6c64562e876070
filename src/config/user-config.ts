// The type of what a user writes in `mpserve.config.*`. `options.ts` reads it, and the two have the same keys.
import type { Measure } from '../upkeep/scaler.js';
import type { Config, LogLevel } from './config.js';
import type { Accept } from './model.js';

/** `'500ms'`, `'20s'`, `'5m'`, `'1h'`, or a number of seconds. */
export type Duration = number | `${number}` | `${number}${'ms' | 's' | 'm' | 'h'}`;
/** `'16k'`, `'64M'`, `'1G'` in powers of 1024, or a number of bytes. */
export type Size = number | `${number}` | `${number}${'k' | 'K' | 'M' | 'G' | 'T'}`;

interface Written {
  /** A file, `file#export` or a directory; relative to the configuration file. Default: the demo app. */
  app: string;
  /** `ppc`, `prefork`, `tpc`, `prethread` or `hybrid`. */
  model: string;
  /** `host:port`, `[v6]:port`, `unix:path` (relative to the configuration file), `:port` or a port. */
  bind: string | number | readonly (string | number)[];
  workers: number | 'auto';
  threads: number | 'auto';
  accept: Accept;
  maxConnections: number;
  backlog: number;
  headerTimeout: Duration;
  requestTimeout: Duration;
  keepAliveTimeout: Duration;
  gracefulTimeout: Duration;
  bootTimeout: Duration;
  maxHeaderSize: Size;
  /** 0 is no limit. */
  maxBodySize: Size;
  /** 0 is no limit. */
  maxRequestsPerConnection: number;
  /** Relative to the configuration file. */
  logFile: string;
  logLevel: LogLevel;
  logFormat: 'json' | 'pretty';
  /** A file, relative to the configuration file; `'-'` for standard output; `'off'` or false. */
  accessLog: string | false;
  captureOutput: boolean;
  /** Options for the `node` of the workers, such as `'--max-old-space-size=512'`. */
  nodeArg: string | readonly string[];
  demoFaults: boolean;
  /** Between which the load moves the number of workers, and of threads in each. */
  minWorkers: number;
  maxWorkers: number;
  minThreads: number;
  maxThreads: number;
  spareMin: number;
  spareMax: number;
  idleTimeout: Duration;
  scaleOn: Measure;
  spares: number;
  requestDeadline: Duration;
  hangTimeout: Duration;
  readyPath: string;
  drainQuiet: Duration;
  migrate: boolean;
  /** 0 is not to compare. */
  canary: number;
  /** 0 is never, for these. */
  quarantineAfter: number;
  maxRequests: number;
  maxRequestsJitter: number;
  maxMemory: Size;
  maxThreadHeap: Size;
  maxAge: Duration;
  /** Names or numbers. */
  user: string;
  group: string;
  /** As in chmod(1): `'022'`, `'660'`. */
  umask: string;
  socketMode: string;
  daemon: boolean;
  /** Relative to the configuration file. */
  pidFile: string;
  control: string;
}

/** One of the keys that is missing above does not compile. */
type Complete<T extends Record<keyof Config, unknown>> = T;

export type UserConfig = { readonly [K in keyof Complete<Written>]?: Written[K] | undefined };

/** What `mpserve.config.*` exports as default. */
export type UserConfigExport = UserConfig | (() => UserConfig | Promise<UserConfig>);

/** Returns what it is given; there for the editor, which then knows the keys. */
export function defineConfig<const T extends UserConfigExport>(config: T): T {
  return config;
}
