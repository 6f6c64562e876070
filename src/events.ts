// Everything that can happen and is worth telling, as values. The core emits events and never logs; the log is
// one subscriber among others. `wording` is the only place that turns an event into a level and a sentence.
import { EventEmitter } from 'node:events';
import type { LogLevel } from './config/config.js';
import type { ResponseCounts } from './scaling/response-stats.js';

/** An error as it crosses from a worker to the supervisor. */
export interface ErrorRecord {
  readonly type: string;
  readonly message: string;
  readonly stack: string;
}

/** Who tells: a worker process, and a thread of it; 0 outside of threads. */
export interface WorkerIdentity {
  readonly pid: number;
  readonly tid: number;
}

interface RequestFields {
  readonly reqId: string;
  readonly method: string;
  readonly url: string;
}

/** A request that is being served, and for how long. */
export interface RequestInFlight extends RequestFields {
  readonly ageMs: number;
}

/** One whose worker or thread has ended. */
export interface LostRequest extends RequestInFlight {
  /** By which it is known again (`inflight/fingerprint`). */
  readonly fingerprint: string;
  /** Of its answer, which its client has; it has no access line yet. Absent where there was none, or not all of it. */
  readonly answered?: {
    readonly status: number;
    /** The app was done with it, and something else ended the worker. */
    readonly isOver: boolean;
  };
}

/** The first answers of a new generation beside those of the old one; times in milliseconds. */
export interface CanaryFigures {
  readonly requests: number;
  /** With a status of 500 or more. */
  readonly failed: number;
  readonly p99: number;
  readonly oldRequests: number;
  readonly oldFailed: number;
  readonly oldP99: number;
}

/** What happened inside a worker; it does not know who it is. */
export type WorkerEvent =
  | ({ event: 'request-failed'; err: ErrorRecord } & RequestFields)
  | ({ event: 'response-cut'; err: ErrorRecord } & RequestFields)
  | ({ event: 'client-gone'; err: ErrorRecord } & RequestFields)
  | ({ event: 'request-overdue'; err: ErrorRecord } & RequestFields)
  /** It has ended workers, and was not given to the app. */
  | ({ event: 'request-refused' } & RequestFields)
  /** It was being served by a worker or thread that has ended. */
  | ({ event: 'request-lost'; tid?: number } & LostRequest)
  /** The same, but its client has the answer. */
  | ({ event: 'request'; tid?: number; status: number; isSuspect: boolean } & LostRequest)
  /** What the answers since the last such event were like. */
  | ({ event: 'answers' } & ResponseCounts)
  /** One that was suspected to end workers has been answered. */
  | { event: 'suspect-cleared'; fingerprint: string }
  | ({ event: 'request-cut'; tid?: number } & RequestInFlight)
  | { event: 'app-crashed'; err: ErrorRecord }
  | { event: 'thread-lost'; tid: number; connections: number; reason: string; replacedInMs: number | undefined }
  | { event: 'thread-recycled'; tid: number; reason: string }
  | { event: 'threads-scaled'; from: number; to: number; reason: string }
  | { event: 'thread-unfit'; tid: number; reason: string; retryInMs: number }
  /** The event loop stood still. Without a stack it was in native code, and without requests, too. */
  | { event: 'hung'; tid?: number; stillMs: number; stack: readonly string[]; requests: readonly RequestInFlight[] }
  | { event: 'connection-lost'; reason: string }
  | { event: 'connections-shed'; count: number }
  /** Messages on the migration channel that no worker of ours sends, since the last such event; the last one's sender. */
  | { event: 'migration-refused'; count: number; senderPid: number; senderUid: number }
  | { event: 'access-log-failed'; reason: string }
  | { event: 'access-log-resumed'; lost: number };

export type ServerEvent =
  | (WorkerEvent & Partial<WorkerIdentity>)
  | {
      event: 'ready';
      url: string;
      urls: readonly string[];
      model: string;
      workers: number;
      threads: number;
      pid: number;
      bootMs: number;
    }
  | { event: 'warning'; warning: string }
  | { event: 'worker-started'; worker: number; pid: number; generation: number }
  | { event: 'worker-died'; worker: number; pid: number; reason: string; replacedInMs: number | undefined }
  | { event: 'worker-unfit'; worker: number; reason: string }
  | { event: 'worker-killed'; worker: number; pid: number; reason: string }
  /** Messages of a worker that no code of ours sends, since the last such event; the type of the last one. */
  | { event: 'worker-message-invalid'; worker: number; pid: number; count: number; type: string }
  | { event: 'worker-recycled'; worker: number; pid: number; reason: string }
  | { event: 'quarantined'; method: string; url: string; fingerprint: string; deaths: number }
  | { event: 'quarantine-cleared'; count: number; reason: string }
  | { event: 'output'; pid: number; stream: 'stdout' | 'stderr'; text: string }
  | { event: 'log-resumed'; lost: number }
  | {
      event: 'switched';
      from: string;
      model: string;
      workers: number;
      threads: number;
      ms: number;
      reason: string;
    }
  | { event: 'upgraded'; pid: number; version: string; ms: number; reason: string }
  | ({ event: 'canary-passed' } & CanaryFigures)
  | { event: 'reloading'; reason: string }
  | { event: 'reloaded'; generation: number; workers: number; ms: number }
  | { event: 'scaled'; unit: 'workers'; from: number; to: number; reason: string }
  | { event: 'drained'; reason: string }
  | { event: 'logs-reopened'; files: readonly string[]; reason: string }
  | { event: 'operation-refused'; action: string; reason: string; by: string }
  | { event: 'operation-failed'; action: string; reason: string }
  | { event: 'stopping'; reason: string; gracefulMs: number }
  | { event: 'stopped'; reason: string; requests: number };

type Name = ServerEvent['event'];
type Of<N extends Name> = Extract<ServerEvent, { event: N }>;

/** Level and message of each event. Fields that came from a client are quoted by JSON in the line, not here. */
export const wording: { readonly [N in Name]: readonly [LogLevel, (e: Of<N>) => string] } = {
  ready: ['info', (e) => `serving on ${e.urls.join(', ')}`],
  warning: ['warn', (e) => e.warning],
  'worker-started': ['debug', (e) => `worker ${e.worker} is ready (pid ${e.pid})`],
  'worker-died': [
    'error',
    (e) =>
      `worker ${e.worker} (pid ${e.pid}) died: ${e.reason}; its connections are lost` +
      (e.replacedInMs === undefined ? '' : `; replacing it ${soon(e.replacedInMs)}`),
  ],
  'worker-unfit': ['error', (e) => `a new worker ${e.worker} could not be started: ${e.reason}; trying again`],
  'worker-killed': ['warn', (e) => `killed worker ${e.worker} (pid ${e.pid}): ${e.reason}`],
  'worker-message-invalid': [
    'warn',
    (e) => `ignored ${e.count} invalid message(s) of worker ${e.worker} (pid ${e.pid}); does the app send them?`,
  ],
  'worker-recycled': ['info', (e) => `replaced worker ${e.worker} (pid ${e.pid}), as ${e.reason}`],
  'thread-lost': [
    'error',
    (e) =>
      `thread ${e.tid} of worker pid ${e.pid} ended (${e.reason}) and lost ${e.connections} connection(s)` +
      (e.replacedInMs === undefined ? '' : `; replacing it ${soon(e.replacedInMs)}`),
  ],
  'thread-unfit': [
    'error',
    (e) => `a new thread could not load the app: ${e.reason}; trying again in ${e.retryInMs} ms`,
  ],
  hung: [
    'error',
    (e) =>
      `${e.tid ? `thread ${e.tid} of worker pid ${e.pid}` : `worker pid ${e.pid}`} has stood still for ${Math.round(e.stillMs)} ms in ` +
      `${e.stack[0] ?? 'native code'}, with ${e.requests.length} request(s); it is ended${e.stack.length === 0 && e.tid ? ' as soon as that returns' : ''} and replaced`,
  ],
  'connection-lost': ['error', (e) => `a connection was closed unserved: ${e.reason}`],
  'connections-shed': [
    'warn',
    (e) => `--max-connections is reached and clients are waiting; closed the ${e.count} slowest idle connection(s)`,
  ],
  'migration-refused': [
    'warn',
    (e) =>
      `closed ${e.count} malformed message(s) on the migration channel, the last from process ${e.senderPid} of user ${e.senderUid}`,
  ],
  'access-log-failed': ['error', (e) => `access lines are being lost, as they cannot be written: ${e.reason}`],
  'access-log-resumed': ['warn', (e) => `the access log is written again; ${e.lost} line(s) of it were lost`],
  'log-resumed': ['warn', (e) => `the log is written again; ${e.lost} line(s) of it were lost`],
  // Before its answer had begun, or after it was complete; what the client got is whole in both cases.
  'request-failed': ['error', (e) => `the app failed on a request: ${e.err.message}`],
  'response-cut': [
    'error',
    (e) => `the app failed after its answer had begun, so the connection was cut: ${e.err.message}`,
  ],
  'request-overdue': ['error', (e) => `a request was answered for the app, which took too long: ${e.err.message}`],
  'request-refused': [
    'error',
    () => 'a request was answered with 503, as it has ended workers; see mpserve ctl quarantine',
  ],
  'request-lost': ['error', (e) => `a request was lost after ${e.ageMs} ms, with the worker or thread that served it`],
  request: ['silent', () => ''], // it has its line in the access log
  answers: ['trace', (e) => `${e.count} answer(s), ${e.failed} with a status of 500 or more`],
  'canary-passed': [
    'info',
    (e) =>
      `the new generation is no worse: ${e.failed} of ${e.requests} answers failed, p99 ${e.p99.toFixed(1)} ms; the old one: ${e.oldFailed} of ${e.oldRequests}, p99 ${e.oldP99.toFixed(1)} ms`,
  ],
  'suspect-cleared': ['debug', () => 'a request that was in flight when a worker ended has been answered by another'],
  'request-cut': ['warn', (e) => `a request was cut after ${e.ageMs} ms, as --graceful-timeout was over`],
  quarantined: [
    'error',
    (e) =>
      `a request was in flight at ${e.deaths} deaths of workers and is answered with 503 from now on; ` +
      'mpserve ctl quarantine lists them, mpserve ctl quarantine clear lets them through again',
  ],
  'quarantine-cleared': ['info', (e) => `${e.count} quarantined request(s) are let through again (${e.reason})`],
  'client-gone': ['debug', () => 'the client went away before its answer was complete'],
  'app-crashed': ['fatal', (e) => `uncaught in the app, which ends this worker: ${e.err.message}`],
  output: ['info', (e) => e.text],
  switched: [
    'info',
    (e) =>
      `switched from ${e.from} to ${e.model}, with ${e.workers} worker(s) and ${e.threads} thread(s) each, after ${e.ms} ms (${e.reason})`,
  ],
  upgraded: [
    'info',
    (e) => `upgraded: process ${e.pid} (Node ${e.version}) serves, after ${e.ms} ms (${e.reason}); this one ends`,
  ],
  reloading: ['info', (e) => `reloading (${e.reason}): the old generation serves until the new one is ready`],
  reloaded: [
    'info',
    (e) => `reloaded: generation ${e.generation} serves with ${e.workers} worker(s), after ${e.ms} ms`,
  ],
  scaled: ['info', (e) => `scaled from ${e.from} to ${e.to} ${e.unit} (${e.reason})`],
  'threads-scaled': ['info', (e) => `scaled from ${e.from} to ${e.to} threads in worker pid ${e.pid} (${e.reason})`],
  'thread-recycled': ['info', (e) => `replaced thread ${e.tid} of worker pid ${e.pid}, as ${e.reason}`],
  drained: ['warn', (e) => `drained (${e.reason}): clients wait until a reload or more workers`],
  'logs-reopened': ['info', (e) => `opened ${e.files.join(' and ')} anew (${e.reason})`],
  'operation-refused': ['warn', (e) => `cannot ${e.action} (${e.by}): ${e.reason}`],
  'operation-failed': ['error', (e) => `the ${e.action} has failed, what served before goes on: ${e.reason}`],
  stopping: ['info', (e) => `stopping (${e.reason}): draining for up to ${e.gracefulMs} ms`],
  stopped: ['info', (e) => `stopped (${e.reason}) after ${e.requests} request(s)`],
};

function soon(ms: number): string {
  return ms > 0 ? `in ${ms} ms` : 'now';
}

/** The bus between the core and whoever tells about it. */
export class Events extends EventEmitter<{ event: [ServerEvent] }> {
  tell(event: ServerEvent): void {
    this.emit('event', event);
  }
}

/** What to tell of a request that a worker or thread was at when it ended. @param isTimeOver it had been told to */
export function endOf(request: LostRequest, isTimeOver: boolean): EndOfRequest {
  const { answered, ...rest } = request;
  if (!answered) return { event: isTimeOver ? 'request-cut' : 'request-lost', ...rest };
  return { event: 'request', ...rest, status: answered.status, isSuspect: !isTimeOver && !answered.isOver };
}

type EndOfRequest = Extract<WorkerEvent, { event: 'request' | 'request-lost' | 'request-cut' }>;

export function errorRecord(error: unknown): ErrorRecord {
  if (error instanceof Error) {
    return { type: error.name, message: error.message, stack: error.stack ?? `${error.name}: ${error.message}` };
  }
  const message = String(error);
  return { type: typeof error, message, stack: message };
}
