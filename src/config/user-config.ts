// The type of the user's configuration file, `mpserve.config.*`. It has the same keys as the table in `options.ts`.
import type { Measure } from '../scaling/scaler.js';
import type { Config, LogLevel } from './config.js';
import type { Accept } from './model.js';

/** `'500ms'`, `'20s'`, `'5m'`, `'1h'`, or a number of seconds. */
export type Duration = number | `${number}` | `${number}${'ms' | 's' | 'm' | 'h'}`;
/** `'16k'`, `'64M'`, `'1G'` in powers of 1024, or a number of bytes. */
export type Size = number | `${number}` | `${number}${'k' | 'K' | 'M' | 'G' | 'T'}`;

interface ConfigValues {
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
  /** Options for the `node` process of each worker, such as `'--max-old-space-size=512'`. */
  nodeArg: string | readonly string[];
  demoFaults: boolean;
  /** Bounds between which the number of workers, and of threads in each worker, scales with the load. */
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
  /** 0 turns the comparison off. */
  canary: number;
  /** For these and `maxAge`, 0 turns the limit off; for `maxThreadHeap`, 0 uses V8's default. */
  quarantineAfter: number;
  maxRequests: number;
  maxRequestsJitter: number;
  maxMemory: Size;
  maxThreadHeap: Size;
  maxAge: Duration;
  /** A name or a number. */
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

/** Does not compile if a key of `Config` is missing in `T`. */
type Complete<T extends Record<keyof Config, unknown>> = T;

export type UserConfig = { readonly [K in keyof Complete<ConfigValues>]?: ConfigValues[K] | undefined };

/** The default export of `mpserve.config.*`. */
export type UserConfigExport = UserConfig | (() => UserConfig | Promise<UserConfig>);

/** Returns its argument. It gives the editor the type of the configuration, for completion and checks. */
export function defineConfig<const T extends UserConfigExport>(config: T): T {
  return config;
}
