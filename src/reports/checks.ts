// Which reports and events the supervisor accepts from a worker. The app runs in the worker's process and can send any
// message, so what is accepted is at most wrong about that worker.
import type { ErrorRecord } from '../errors.js';
import type { CacheStorePart, WorkerEvent } from '../events.js';
import { type Refusal, refusals } from '../overload/layout.js';
import {
  type Check,
  type Fields,
  type FieldsOf,
  flag,
  integer,
  invalid,
  list,
  number,
  oneOf,
  optional,
  ownField,
  record,
  recordsByName,
  text,
} from './fields.js';
import type { LostRequest, RequestInFlight, WorkerReport } from './report.js';

/** The worker that a report came from, as the supervisor knows it. */
export interface Sender {
  readonly pid: number;
  /** It runs the app in threads, whose ends it reports; that of another worker the supervisor sees itself. */
  readonly hasThreads: boolean;
}

type Kind = WorkerReport['kind'];
type EventName = WorkerEvent['event'];

export const count = integer(0, 1e9);
/** Milliseconds; far more than a server runs. */
const duration = number(0, 1e13);
/** Threads are numbered from 1; 0 is the process itself. */
export const tid = integer(0, 2 ** 31);
/** As numbers of processes and users, -1 where the system did not say. */
const systemId = integer(-1, 2 ** 32);
/** A sentence, an error's stack, a request's target: as long as Node's limit on the headers of a request can be set. */
export const long = text(65_536);
export const short = text(1024);
const reason = long;
const err: Check<ErrorRecord> = record<ErrorRecord>({ type: short, message: long, stack: long });
const request = { reqId: short, method: short, url: long };
const inFlight: Fields<RequestInFlight> = { ...request, ageMs: duration };
export const requestInFlight = record(inFlight);
const answered = record<NonNullable<LostRequest['answered']>>({ status: integer(0, 65_535), isOver: flag });
const failure = { ...request, err };

const reports: { readonly [K in Kind]: FieldsOf<Extract<WorkerReport, { kind: K }>, 'kind' | 'tid'> } = {
  answers: { count, failed: count, times: list(96, count) },
  'suspect-cleared': { fingerprint: short },
  'request-ended': {
    ...inFlight,
    fingerprint: short,
    evidence: optional(oneOf<'stack' | 'alone'>('stack', 'alone')),
    answered: optional(answered),
    isWanted: flag,
  },
  'app-crashed': { err },
  'thread-lost': { connections: count, reason, replacedInMs: optional(duration) },
  'server-closed': { replacedInMs: optional(duration) },
  'thread-unfit': { reason, retryInMs: duration },
  'threads-scaled': { from: count, to: count, reason },
  'sessions-placed-again': { count },
  'threads-down': {},
  'threads-up': {},
  hung: { stillMs: duration, stack: list(100, short), requests: list(1000, requestInFlight) },
};

const events: { readonly [N in EventName]: FieldsOf<Extract<WorkerEvent, { event: N }>, 'event' | 'tid'> } = {
  'request-failed': failure,
  'response-cut': failure,
  'client-gone': failure,
  'request-overdue': failure,
  'request-refused': request,
  'request-cut': inFlight,
  'thread-recycled': { reason },
  'connection-lost': { reason },
  'connections-shed': { count },
  'proxy-refused': { count, peer: short, reason },
  overloaded: { reason: oneOf<Refusal>(...refusals), count, ...request, waitedMs: duration },
  'rate-limited': { count, remote: short },
  'descriptors-used-up': { used: count, limit: count, connections: count },
  'migration-refused': { count, senderPid: systemId, senderUid: systemId },
  'several-servers': { served: short, others: list(100, short) },
  'cluster-fork': {},
  'upgrades-refused': {},
  'thread-limits': { uses: list(32, short) },
  'static-unreadable': { dirs: list(100, short), reason },
  'cache-store-down': { store: short, part: oneOf<CacheStorePart>('all', 'writes'), reason },
  'cache-store-up': { store: short, part: oneOf<CacheStorePart>('all', 'writes'), ms: duration },
  'access-log-failed': { reason },
  'access-log-resumed': { lost: count },
  'access-lines-unwritten': { count },
};

/** Of a worker whose only event loop is its own: what it was at when it ended, the supervisor reads itself. */
const onlyWithThreads = new Set<unknown>([
  'request-ended',
  'thread-lost',
  'server-closed',
  'sessions-placed-again',
  'threads-scaled',
  'threads-down',
  'threads-up',
  'thread-recycled',
  'thread-unfit',
] satisfies (Kind | EventName)[]);

/** By the type of the message. */
const tables = { report: recordsByName(reports), event: recordsByName(events) };
/** The field with the name of a report or an event. */
export const nameField = { report: 'kind', event: 'event' } as const;

/**
 * A report that is safe to act on, or an event that is safe to log; undefined for one that this worker does not send.
 * Never throws.
 */
export function checkTold(type: 'report' | 'event', raw: unknown, { pid, hasThreads }: Sender): object | undefined {
  const name = ownField(raw, nameField[type]);
  if (!hasThreads && onlyWithThreads.has(name)) return undefined;
  const fields = tables[type].get(name)?.(raw) ?? invalid;
  const thread = hasThreads ? tid(ownField(raw, 'tid')) : 0;
  return fields === invalid || thread === invalid
    ? undefined
    : { [nameField[type]]: name, pid, tid: thread, ...fields };
}
