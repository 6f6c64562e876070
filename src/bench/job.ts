// What the load generator is told to do, and what it answers: plain data that crosses to a process of its own, so
// that its work is never taken for the server's or the reporter's.
import type { Errors, Latency } from './results.js';

export interface Request {
  /** On the server: `/search?q=x`. */
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
  /** Sent in turn; at least one. */
  readonly requests: readonly Request[];
  readonly load: Load;
}

export type Load =
  /** Each connection sends its next request when it has its answer. */
  | { readonly kind: 'closed' }
  /** The same, with a connection for each request. */
  | { readonly kind: 'one-each' }
  /** Requests are sent when they are due, `rate` a second, whatever has become of those before. */
  | {
      readonly kind: 'open';
      readonly rate: number;
      /** Every so many requests one of these is sent instead; what becomes of it does not count. */
      readonly every?: { readonly count: number; readonly request: Request };
      /** Sent over and over on a connection of its own; what becomes of it does not count. */
      readonly beside?: Request;
    }
  /** Each connection sends one request and is then held. */
  | { readonly kind: 'idle' };

export interface Report {
  /** Answered, well or badly. */
  readonly requests: number;
  readonly seconds: number;
  readonly latencyMs?: Latency;
  readonly errors: Errors;
  /** Connections that were open at the same time, where that is the question. */
  readonly held?: number;
  /** Of the generator's event loop, 0 to 1. */
  readonly utilisation: number;
}

/** A request without an answer for so long has failed (milliseconds). */
export const timeoutMs = 10_000;
