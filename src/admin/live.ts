// What the dashboard gets, by server-sent events on `/live`: the first message has what there is, each one after that, once a
// second, what is new. Plain data.
import type { Status, WorkerStatus } from '../control/protocol.js';

/** One point of the curves: a stretch of time. */
export interface RatePoint {
  /** Its end, in milliseconds since 1970. */
  readonly at: number;
  /** Per second. */
  readonly requests: number;
  /** Responses of the class 5xx, per second. */
  readonly errors: number;
  /** Of the time to the end of the response, from the histogram (milliseconds); null without a request. */
  readonly p50: number | null;
  readonly p99: number | null;
  /** Open ones at its end. */
  readonly connections: number;
}

/** A point of the timeline: something happened to the server. */
export interface TimelineEvent {
  readonly at: number;
  readonly kind:
    | 'start'
    | 'exit'
    | 'crash'
    | 'hang'
    | 'reload'
    | 'switch'
    | 'scale'
    | 'upgrade'
    | 'quarantine'
    | 'failure'
    | 'other';
  /** A sentence for people. It may have text of the app, and of clients. */
  readonly text: string;
}

/** A line of the log: its message and its fields, escaped, at most 1,000 characters. */
export interface LogLine {
  readonly at: number;
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  readonly text: string;
}

/** A model to which an operator can switch. */
export interface ModelChoice {
  readonly name: string;
  readonly summary: string;
  /** The number of its worker processes can be chosen, and that of the threads in each. */
  readonly hasWorkers: boolean;
  readonly hasThreads: boolean;
}

export interface LiveUpdate {
  readonly at: number;
  readonly status: Status;
  readonly workers: readonly WorkerStatus[];
  readonly points: readonly RatePoint[];
  readonly events: readonly TimelineEvent[];
  readonly log: readonly LogLine[];
  /** The client may reload, scale and switch: it is on a Unix socket, or has given the token. */
  readonly mayAct: boolean;
  /** In the first message. */
  readonly models?: readonly ModelChoice[];
}
