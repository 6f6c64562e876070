// The events of the server, as values: lines of the log. Nothing acts on them; what the server acts on is a report
// (`reports`). `wording` is the only place that gives an event a level and a message.
import type { LogLevel } from './config/config.js';
import type { ErrorRecord } from './errors.js';
import type { Refusal } from './overload/layout.js';
import {
  inRoute,
  type LostRequest,
  type Report,
  type RequestFields,
  type RequestInFlight,
  type WorkerIdentity,
  withUnit,
} from './reports/report.js';

/** The first responses of a new generation, compared with those of the old one; times in milliseconds. */
export interface CanaryFigures {
  readonly requests: number;
  /** Responses with a status of 500 or more. */
  readonly failed: number;
  readonly p99: number;
  readonly oldRequests: number;
  readonly oldFailed: number;
  readonly oldP99: number;
}

/** What of the store of --cache-store is down. */
export type CacheStorePart = 'all' | 'writes';

/** An event inside a worker. The worker adds its identity when it sends the event. */
export type WorkerEvent =
  | ({ event: 'request-failed'; err: ErrorRecord } & RequestFields)
  | ({ event: 'response-cut'; err: ErrorRecord } & RequestFields)
  | ({ event: 'client-gone'; err: ErrorRecord } & RequestFields)
  | ({ event: 'request-overdue'; err: ErrorRecord } & RequestFields)
  /** The request is quarantined and did not reach the app. */
  | ({ event: 'request-refused' } & RequestFields)
  | ({ event: 'request-cut' } & RequestInFlight)
  | { event: 'thread-recycled'; tid: number; reason: string }
  | { event: 'connection-lost'; reason: string }
  | { event: 'connections-shed'; count: number }
  /** Of the process that accepts. */
  | { event: 'descriptors-used-up'; used: number; limit: number; connections: number }
  /** Connections without a valid PROXY header, or from a peer that may send none, since the last such event; the last one. */
  | { event: 'proxy-refused'; count: number; peer: string; reason: string }
  /** Requests that got 503 for one reason since the last such event, and the last one (--max-inflight). */
  | ({ event: 'overloaded'; reason: Refusal; count: number; waitedMs: number } & RequestFields)
  /** Requests that were refused since the last such event of any worker, and the client of the last one, an IP address. */
  | { event: 'rate-limited'; count: number; remote: string }
  /** Invalid messages on the migration channel since the last such event, and the sender of the last one. */
  | { event: 'migration-refused'; count: number; senderPid: number; senderUid: number }
  /** The server of the app that mpserve serves, in words, and where its others listen. */
  | { event: 'several-servers'; served: string; others: readonly string[] }
  | { event: 'cluster-fork' }
  /** The app has listeners for upgrades, and its threads take requests. */
  | { event: 'upgrades-refused' }
  /** What the app asks of a thread that only a process has. */
  | { event: 'thread-limits'; uses: readonly string[] }
  /** The user of the worker may not read them. */
  | { event: 'static-unreadable'; dirs: readonly string[]; reason: string }
  /** The store of --cache-store, for all that it is asked, or for what it should store (`writes`). Its name has no password. */
  | { event: 'cache-store-down'; store: string; part: CacheStorePart; reason: string }
  | { event: 'cache-store-up'; store: string; part: CacheStorePart; ms: number }
  | { event: 'access-log-failed'; reason: string }
  | { event: 'access-log-resumed'; lost: number }
  /** A worker ends that could not write so many lines up to now. */
  | { event: 'access-lines-unwritten'; count: number };

/** A report in the log: its kind is the name of the event. */
type Reported<R> = R extends { kind: infer K } ? { event: K } & Omit<R, 'kind'> : never;

export type ServerEvent =
  | (WorkerEvent & Partial<WorkerIdentity>)
  | Reported<Exclude<Report, { kind: 'request-ended' }>>
  | ({ event: 'request-lost' } & Partial<WorkerIdentity> & Omit<LostRequest, 'answered'>)
  | { event: 'warning'; warning: string }
  | { event: 'worker-killed'; worker: number; pid: number; reason: string; route?: string }
  /** Invalid messages from a worker since the last such event, and the type of the last one. */
  | { event: 'worker-message-invalid'; worker: number; pid: number; count: number; type: string }
  | { event: 'worker-recycled'; worker: number; pid: number; reason: string; route?: string }
  /** Those of the container; bytes, absent without a limit. `needsReload`: threads, or routes, have other sizes from then on. */
  | {
      event: 'limits-changed';
      fromCores: number;
      fromMemory?: number;
      cores: number;
      memory?: number;
      needsReload: boolean;
    }
  | { event: 'quarantine-cleared'; count: number; reason: string }
  | { event: 'cache-purged'; purged: string; reason: string }
  | { event: 'output'; pid: number; stream: 'stdout' | 'stderr'; text: string }
  | { event: 'log-resumed'; lost: number }
  | { event: 'balance-changed'; from: string; to: string; reason: string }
  | ({ event: 'canary-passed' } & CanaryFigures)
  | { event: 'logs-reopened'; files: readonly string[]; reason: string }
  | { event: 'log-rotated'; file: string; rotated: string; bytes: number }
  | { event: 'log-rotation-failed'; file: string; reason: string }
  | { event: 'operation-refused'; action: string; reason: string; by: string }
  | { event: 'admin-ready'; url: string }
  /** Requests with a wrong token since the last such event, and the address of the last one. */
  | { event: 'admin-refused'; count: number; address: string }
  /** An operator takes a profile or a heap snapshot of a worker; it could not be taken. */
  | { event: 'dump-started'; kind: 'profile' | 'heap'; worker: number; pid: number; tid?: number }
  | { event: 'dump-failed'; kind: 'profile' | 'heap'; worker: number; pid: number; reason: string }
  | { event: 'stop-delayed'; reason: string; ms: number }
  | { event: 'stopped'; reason: string; requests: number };

type Name = ServerEvent['event'];
type Of<N extends Name> = Extract<ServerEvent, { event: N }>;

/** Level and message of each event. Text from a client is in the fields, which JSON quotes, and not in the message. */
export const wording: { readonly [N in Name]: readonly [Exclude<LogLevel, 'silent'>, (e: Of<N>) => string] } = {
  ready: ['info', (e) => `serving on ${e.urls.join(', ')}`],
  warning: ['warn', (e) => e.warning],
  'worker-started': ['debug', (e) => `${workerOf(e)} is ready`],
  'worker-died': [
    'error',
    (e) => `${workerOf(e)} died: ${e.reason}; its connections are lost${replacement(e.replacedInMs)}`,
  ],
  'worker-unfit': ['error', (e) => `a new worker ${e.worker}${inRoute(e)} could not start: ${e.reason}; retrying`],
  'worker-killed': ['warn', (e) => `killed ${workerOf(e)}: ${e.reason}`],
  'worker-message-invalid': [
    'warn',
    (e) =>
      `ignored ${counted(e.count, 'invalid message')} from worker ${e.worker} (pid ${e.pid}); does the app write to mpserve's IPC channel?`,
  ],
  'worker-recycled': ['info', (e) => `replaced ${workerOf(e)}: ${e.reason}`],
  'thread-lost': [
    'error',
    (e) =>
      `thread ${e.tid} of worker pid ${e.pid} died: ${e.reason}; ` +
      `it lost ${counted(e.connections, 'connection')}${replacement(e.replacedInMs)}`,
  ],
  'server-closed': [
    'warn',
    (e) =>
      `the app closed its server in ${e.tid ? `thread ${e.tid} of ` : ''}worker pid ${e.pid} (server.close()): it accepts ` +
      `no more connections, finishes its requests and ends${replacement(e.replacedInMs)}`,
  ],
  'thread-recycled': ['info', (e) => `replaced thread ${e.tid} of worker pid ${e.pid}: ${e.reason}`],
  'thread-unfit': ['error', (e) => `a new thread could not start: ${e.reason}; retrying in ${e.retryInMs} ms`],
  'threads-scaled': ['info', (e) => `scaled from ${e.from} to ${e.to} threads in worker pid ${e.pid} (${e.reason})`],
  'sessions-placed-again': [
    'info',
    (e) => `placed ${counted(e.count, 'session')} (--sticky) whose worker has gone, or that were not known`,
  ],
  'threads-down': ['warn', (e) => `none of the threads of worker pid ${e.pid} can serve; replacing them`],
  'threads-up': ['info', (e) => `a thread of worker pid ${e.pid} can serve again`],
  down: ['error', () => 'no worker can serve: clients wait until one can; mpserve ctl status names the last error'],
  up: ['warn', (e) => `a worker can serve again, after ${e.ms} ms without one`],
  'probation-passed': ['debug', (e) => `the first workers have passed their probation of ${e.ms} ms`],
  hung: ['error', hangMessage],
  'app-crashed': [
    'fatal',
    (e) => `uncaught exception in the app; the ${e.tid ? 'thread' : 'worker'} exits: ${e.err.message}`,
  ],
  'connection-lost': ['error', (e) => `closed a connection before it was served: ${e.reason}`],
  'connections-shed': [
    'warn',
    (e) =>
      `--max-connections, or the limit on open files, is reached and clients are waiting; closed ${counted(e.count, 'slow idle connection')}`,
  ],
  'descriptors-used-up': [
    'warn',
    (e) =>
      `${e.used} of ${e.limit} descriptors are in use, with ${counted(e.connections, 'connection')}: further clients wait ` +
      'until some are closed; raise the limit on open files (ulimit -n, LimitNOFILE= of systemd); if the app leaves ' +
      'files or sockets open, mpserve ctl reload replaces its workers',
  ],
  'proxy-refused': [
    'warn',
    (e) => `closed ${counted(e.count, 'connection')} (--proxy-protocol); the last one came from ${e.peer}: ${e.reason}`,
  ],
  overloaded: [
    'warn',
    (e) =>
      `refused ${counted(e.count, 'request')} with 503: ${refusalWords[e.reason]}; the last one had waited ${e.waitedMs} ms`,
  ],
  'rate-limited': [
    'warn',
    (e) => `refused ${counted(e.count, 'request')} with 429 (--rate-limit); the last one came from ${e.remote}`,
  ],
  'migration-refused': [
    'warn',
    (e) =>
      `refused ${counted(e.count, 'invalid message')} on the migration channel; ` +
      `the last one came from pid ${e.senderPid} of user ${e.senderUid}`,
  ],
  'several-servers': [
    'info',
    (e) =>
      `the app has ${e.others.length + 1} servers: serving the one ${e.served}; it also listens on ${e.others.join(', ')}; ` +
      'to serve another one, use --serve first, last or its port',
  ],
  'upgrades-refused': [
    'warn',
    () =>
      'the app has listeners for upgrades (WebSocket, CONNECT), and clients get 501: with --unit request the connections ' +
      'are not in the threads that run the app; use --unit connection',
  ],
  'cluster-fork': [
    'warn',
    () =>
      'the app calls cluster.fork(), but mpserve itself starts and replaces the worker processes: connections of forked ' +
      'workers do not pass through mpserve; give mpserve the file that they run, or turn the clustering of the app off, ' +
      'and use --workers',
  ],
  'static-unreadable': [
    'error',
    (e) =>
      `the worker cannot read the static files of ${e.dirs.join(', ')}: ${e.reason}; let the user of the workers (--user) read ` +
      'the directories, and reload',
  ],
  'cache-store-down': [
    'error',
    (e) =>
      e.part === 'all'
        ? `the store of the cache is down: ${e.reason}; the app answers all requests until it is back (${e.store})`
        : `the store of the cache takes no more responses: ${e.reason}; if it is full, set its maxmemory-policy to allkeys-lru (${e.store})`,
  ],
  'cache-store-up': [
    'info',
    (e) =>
      e.part === 'all'
        ? `the store of the cache is up again, after ${e.ms} ms (${e.store})`
        : `the store of the cache takes responses again, after ${e.ms} ms (${e.store})`,
  ],
  'access-log-failed': ['error', (e) => `cannot write the access log, so access lines may be lost: ${e.reason}`],
  'access-log-resumed': ['warn', (e) => `writing the access log again; ${counted(e.lost, 'access line')} lost`],
  'access-lines-unwritten': [
    'error',
    (e) => `a worker ends and cannot write the access log; ${counted(e.count, 'access line')} of it may be lost`,
  ],
  'thread-limits': [
    'warn',
    (e) =>
      `the app uses what a thread does not have: ${e.uses.join(', ')}; if it depends on that, use a model whose workers ` +
      'are processes, such as --model prefork',
  ],
  'log-resumed': ['warn', (e) => `writing the log again; ${counted(e.lost, 'line')} lost`],
  // The client got a complete response: a 500, or that of the app, which failed afterwards.
  'request-failed': ['error', (e) => `the app failed on a request: ${e.err.message}`],
  'response-cut': [
    'error',
    (e) => `the app failed after the response had started; closed the connection: ${e.err.message}`,
  ],
  'request-overdue': ['error', (e) => `a request exceeded its deadline: ${e.err.message}`],
  'request-refused': ['error', () => 'refused a quarantined request with 503; see mpserve ctl quarantine'],
  'request-lost': ['error', (e) => `lost a request after ${e.ageMs} ms: the worker or thread that served it died`],
  'request-cut': ['warn', (e) => `aborted a request after ${e.ageMs} ms: --graceful-timeout has expired`],
  'client-gone': ['debug', () => 'the client disconnected before its response was complete'],
  answers: ['trace', (e) => `${counted(e.count, 'response')}, ${e.failed} with a status of 500 or more`],
  quarantined: [
    'error',
    (e) =>
      `quarantined a request that was running, or alone in flight, at ${counted(e.deaths, 'worker death')}: it is ` +
      'refused with 503 for an hour; mpserve ctl quarantine lists quarantined requests, mpserve ctl quarantine clear ' +
      'allows them again',
  ],
  'suspect-cleared': [
    'debug',
    () => 'a request that was suspected of killing a worker was answered; it is no longer a suspect',
  ],
  'cache-purged': ['info', (e) => `purged ${e.purged} from the cache (${e.reason})`],
  'quarantine-cleared': ['info', (e) => `cleared the quarantine of ${counted(e.count, 'request')} (${e.reason})`],
  output: ['info', (e) => e.text],
  reloading: ['info', (e) => `reloading (${e.reason}): the old workers serve until the new ones are ready`],
  reloaded: ['info', (e) => `reloaded in ${e.ms} ms: generation ${e.generation}, ${counted(e.workers, 'worker')}`],
  'canary-passed': [
    'info',
    (e) =>
      `the new generation passed the canary: ${e.failed} of ${e.requests} responses failed, p99 ${e.p99.toFixed(1)} ms; ` +
      `old generation: ${e.oldFailed} of ${e.oldRequests}, p99 ${e.oldP99.toFixed(1)} ms`,
  ],
  'balance-changed': ['info', (e) => `connections are placed by ${e.to}, and no longer by ${e.from} (${e.reason})`],
  switched: [
    'info',
    (e) =>
      `switched from ${withUnit(e.from, e.fromUnit)} to ${withUnit(e.model, e.unit)} in ${e.ms} ms (${e.reason}): ` +
      `${counted(e.workers, 'worker')}, ${counted(e.threads, 'thread')} each`,
  ],
  upgraded: [
    'info',
    (e) => `upgraded in ${e.ms} ms (${e.reason}): process ${e.pid} (Node ${e.version}) serves; this one stops`,
  ],
  scaled: ['info', (e) => `scaled from ${e.from} to ${e.to} ${e.unit} (${e.reason})`],
  drained: ['warn', (e) => `drained (${e.reason}): clients wait until a reload, or until workers are added`],
  'limits-changed': [
    'info',
    (e) =>
      `the limits of the container have changed from ${limitsOf(e.fromCores, e.fromMemory)} to ${limitsOf(e.cores, e.memory)}` +
      (e.needsReload ? '; mpserve ctl reload has the numbers of threads follow, and those of routes' : ''),
  ],
  'logs-reopened': ['info', (e) => `reopened ${e.files.join(' and ')} (${e.reason})`],
  'log-rotated': ['info', (e) => `rotated ${e.file} (${e.bytes} bytes) to ${e.rotated}`],
  'log-rotation-failed': [
    'error',
    (e) => `cannot rotate or compress ${e.file}: ${e.reason}; no line is lost, and mpserve tries again in a minute`,
  ],
  'operation-refused': ['warn', (e) => `cannot ${e.action} (${e.by}): ${e.reason}`],
  'operation-failed': ['error', (e) => `the ${e.action} failed; the server continues as before: ${e.reason}`],
  'admin-ready': ['info', (e) => `the state of the server is on ${e.url}`],
  'admin-refused': [
    'warn',
    (e) =>
      `refused ${counted(e.count, 'request')} with a wrong token on the admin server; the last one came from ${e.address}`,
  ],
  'dump-started': [
    'info',
    (e) => `taking ${dumpWords[e.kind]} of ${e.tid ? `thread ${e.tid} of ` : ''}worker ${e.worker} (pid ${e.pid})`,
  ],
  'dump-failed': [
    'warn',
    (e) => `could not take ${dumpWords[e.kind]} of worker ${e.worker} (pid ${e.pid}): ${e.reason}`,
  ],
  'stop-delayed': [
    'info',
    (e) => `stopping in ${e.ms} ms (${e.reason}): serves on, and /readyz says that it stops (--stop-delay)`,
  ],
  stopping: ['info', (e) => `stopping (${e.reason}): draining for up to ${e.gracefulMs} ms`],
  stopped: ['info', (e) => `stopped (${e.reason}) after ${counted(e.requests, 'request')}`],
};

const dumpWords = { profile: 'a profile', heap: 'a heap snapshot' } as const;

const refusalWords: Readonly<Record<Refusal, string>> = {
  'queue-full': 'as many requests waited as --queue-max allows',
  'queue-timeout': 'no place in the app was free within --queue-timeout',
  shed: 'they had waited too long for the goal of --shed',
  draining: 'they still waited for the app near the end of --graceful-timeout',
};

function hangMessage({ pid, tid, stillMs, stack: [top], requests }: Of<'hung'>): string {
  const what = tid ? `thread ${tid} of worker pid ${pid}` : `worker pid ${pid}`;
  // Native code cannot be interrupted: the requests in flight are unknown, and a thread cannot be terminated yet.
  const where = top === undefined ? 'native code' : `${top} with ${counted(requests.length, 'request')} in flight`;
  const when = top === undefined && tid ? ' when that code returns' : '';
  return `${what} blocked its event loop for ${Math.round(stillMs)} ms in ${where}; replacing it${when}`;
}

/** @param ms until the replacement is started; undefined without one */
/** Of a report or an event about a worker. */
interface OfWorker {
  readonly worker: number;
  readonly pid: number;
  readonly route?: string;
}

const workerOf = (e: OfWorker): string => `worker ${e.worker}${inRoute(e)} (pid ${e.pid})`;

function replacement(ms: number | undefined): string {
  if (ms === undefined) return '';
  return ms > 0 ? `; replacing it in ${ms} ms` : '; replacing it now';
}

function limitsOf(cores: number, memory: number | undefined): string {
  const limit = memory === undefined ? 'no limit on memory' : `${Math.round(memory / 1024 ** 2)} MiB of memory`;
  return `${counted(cores, 'processor')} and ${limit}`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Takes events to the log, their only reader, and keeps them until it is open. */
export class Events {
  readonly #early: ServerEvent[] = [];
  #log = (event: ServerEvent): void => void this.#early.push(event);

  tell(event: ServerEvent): void {
    this.#log(event);
  }

  /** @param log called once for each event, first for those before */
  open(log: (event: ServerEvent) => void): void {
    this.#log = log;
    for (const event of this.#early.splice(0)) log(event);
  }
}
