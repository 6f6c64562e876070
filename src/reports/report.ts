// What workers and the supervisor report, as values. The server acts on reports; the log has events instead
// (`events`), on which nothing acts.
import type { ErrorRecord } from '../errors.js';
import type { ResponseCounts } from '../scaling/response-stats.js';

/** Where a report or an event comes from: a worker process, and its thread, which is 0 for the process itself. */
export interface WorkerIdentity {
  readonly pid: number;
  readonly tid: number;
}

export interface RequestFields {
  readonly reqId: string;
  readonly method: string;
  readonly url: string;
}

/** A request in flight, and its age in milliseconds. */
export interface RequestInFlight extends RequestFields {
  readonly ageMs: number;
}

/** A request that was in flight when its worker or thread ended. */
export interface LostRequest extends RequestInFlight {
  /** Identifies the same request when it is sent again. */
  readonly fingerprint: string;
  /**
   * What speaks against it. `stack`: its handler was running, or code that it had started ended the worker. `alone`: it
   * was the only request in flight, and waited for the app. Absent for any other: it was there by chance, or not known
   * from the others.
   */
  readonly evidence?: 'stack' | 'alone';
  /** The client got the whole response, but its access line is not written yet. Absent if the client did not. */
  readonly answered?: {
    readonly status: number;
    /** The app had finished with the request, so something else ended the worker. */
    readonly isOver: boolean;
  };
}

/** A report of a worker. The worker adds its identity when it sends the report. */
export type WorkerReport =
  /** Statistics of the responses since the last such report. */
  | ({ kind: 'answers' } & ResponseCounts)
  /** A request that was in flight at a death has been answered. */
  | { kind: 'suspect-cleared'; fingerprint: string }
  /** The worker or thread that served the request has ended. `isWanted`: it had been told to end. */
  | ({ kind: 'request-ended'; tid?: number; isWanted: boolean } & LostRequest)
  | { kind: 'app-crashed'; err: ErrorRecord }
  | { kind: 'thread-lost'; tid: number; connections: number; reason: string; replacedInMs: number | undefined }
  /** The app has closed its server, so its worker or thread drains. */
  | { kind: 'server-closed'; tid: number; replacedInMs: number | undefined }
  | { kind: 'thread-unfit'; tid: number; reason: string; retryInMs: number }
  /** Sessions that have been placed since the last such report, because their workers have gone or they are not known. */
  | { kind: 'sessions-placed-again'; count: number }
  | { kind: 'threads-scaled'; from: number; to: number; reason: string }
  /** None of the threads of a process can serve; one can again. */
  | { kind: 'threads-down' }
  | { kind: 'threads-up' }
  /** The event loop was blocked for `stillMs` milliseconds. In native code there is no stack, and no list of requests. */
  | { kind: 'hung'; tid?: number; stillMs: number; stack: readonly string[]; requests: readonly RequestInFlight[] };

export type Report =
  | (WorkerReport & { pid: number; tid?: number })
  | {
      kind: 'ready';
      url: string;
      urls: readonly string[];
      model: string;
      workers: number;
      threads: number;
      bootMs: number;
    }
  | { kind: 'worker-started'; worker: number; pid: number; generation: number; route?: string }
  | {
      kind: 'worker-died';
      worker: number;
      pid: number;
      reason: string;
      replacedInMs: number | undefined;
      route?: string;
    }
  | { kind: 'worker-unfit'; worker: number; reason: string; route?: string }
  /** No worker can serve; one can again, `ms` milliseconds later. */
  | { kind: 'down' }
  | { kind: 'up'; ms: number }
  /** The first workers have lived for long enough. */
  | { kind: 'probation-passed'; ms: number }
  /** A request is refused from now on, because it has killed workers. */
  | { kind: 'quarantined'; method: string; url: string; fingerprint: string; deaths: number }
  | { kind: 'reloading'; reason: string }
  | { kind: 'reloaded'; generation: number; workers: number; ms: number }
  | {
      kind: 'switched';
      from: string;
      /** As in `Status`. */
      fromUnit?: 'request';
      model: string;
      unit?: 'request';
      workers: number;
      threads: number;
      ms: number;
      reason: string;
    }
  | { kind: 'upgraded'; pid: number; version: string; ms: number; reason: string }
  | { kind: 'scaled'; unit: 'workers'; from: number; to: number; reason: string; route?: string }
  | { kind: 'drained'; reason: string }
  /** `isRolledBack`: new workers, or a new server, had been started, and were ended again. */
  | { kind: 'operation-failed'; action: string; reason: string; isRolledBack: boolean }
  | { kind: 'stopping'; reason: string; gracefulMs: number };

export type ReportOf<K extends Report['kind']> = Extract<Report, { kind: K }>;

/** A model, for people. @param unit as in `Status` */
export function withUnit(model: string, unit: 'request' | undefined): string {
  return unit ? `${model} (unit ${unit})` : model;
}

/** Behind the number of a worker in a sentence: the workers of each route have numbers of their own. */
export function inRoute({ route }: { readonly route?: string }): string {
  return route === undefined ? '' : ` of ${route}`;
}
