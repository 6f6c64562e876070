// The configuration as the rest of the program sees it: resolved, checked, frozen. Made by `load.ts` only.
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
  /** Sizes in bytes. `maxBodySize` 0 is no limit. */
  readonly maxHeaderSize: number;
  readonly maxBodySize: number;
  /** 0 is no limit. */
  readonly maxRequestsPerConnection: number;
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

/** What bounds one connection and its requests; the pipeline's part of the configuration. */
export type Limits = Pick<
  Config,
  'headerTimeout' | 'requestTimeout' | 'keepAliveTimeout' | 'maxHeaderSize' | 'maxBodySize' | 'maxRequestsPerConnection'
>;
