// The messages between the benchmark and its load generator, as plain data. The generator runs in a process of its own,
// so that it shares no event loop with the code that meters the target.
import type { Errors, Latency } from './results.js';

export interface Request {
  /** Path and query: `/search?q=x`. */
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Job {
  /** `http://127.0.0.1:1234`, without a path. */
  readonly origin: string;
  readonly connections: number;
  readonly durationMs: number;
  /** The generator sends them in rotation; at least one. */
  readonly requests: readonly Request[];
  readonly load: Load;
}

export type Load =
  /** A closed loop: each connection sends its next request after the response to the last one. */
  | { readonly kind: 'closed' }
  /** A closed loop with a new connection for each request. */
  | { readonly kind: 'connection-per-request' }
  /** An open loop: sends `rate` requests per second on schedule, whether or not earlier requests have completed. */
  | {
      readonly kind: 'open';
      readonly rate: number;
      /** Replaces every `count`th request by `request`, whose outcome does not count. */
      readonly every?: { readonly count: number; readonly request: Request };
      /** Sent in a closed loop on a separate connection at the same time; its outcome does not count. */
      readonly background?: Request;
    }
  /** Each connection sends one request and then stays open and idle. */
  | { readonly kind: 'idle' };

export interface Report {
  /** Requests that got a response, whatever its status. */
  readonly requests: number;
  readonly seconds: number;
  /** Those of the requests that got their response within `seconds`; for an open loop only, which waits for the others. */
  readonly inTime?: number | undefined;
  readonly latencyMs: Latency | undefined;
  readonly errors: Errors;
  /** The most connections open at the same time; for the idle load only. */
  readonly held?: number | undefined;
  /** Utilisation of the generator's event loop, 0 to 1. */
  readonly utilisation: number;
}

/** A request without a complete response fails after this time (milliseconds). */
export const requestTimeoutMs = 10_000;
