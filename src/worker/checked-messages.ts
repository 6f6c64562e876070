// Which messages the supervisor accepts from a worker. The app runs in the worker's process and can send what it likes, so
// a message is at most wrong about its own worker: each field is checked, and the worker's object is never passed on.
import { ExitCode } from '../errors.js';
import type { ErrorRecord, LostRequest, RequestInFlight, WorkerEvent } from '../events.js';
import {
  type Check,
  type Fields,
  flag,
  integer,
  invalid,
  list,
  number,
  oneOf,
  optional,
  record,
  text,
} from '../reports/fields.js';
import type { FromWorker } from './messages.js';

/** The worker that a message came from, as the supervisor knows it. */
export interface Sender {
  readonly pid: number;
  /** It runs the app in threads, whose ends it reports; that of another worker the supervisor sees itself. */
  readonly hasThreads: boolean;
}

type Type = FromWorker['type'];
type EventName = WorkerEvent['event'];
type FieldsOf<M, Besides extends string> = M extends unknown ? Fields<Omit<M, Besides>> : never;

const count = integer(0, 1e9);
/** Milliseconds; far more than a server runs. */
const duration = number(0, 1e13);
/** Threads are numbered from 1; 0 is the process itself. */
const tid = integer(0, 2 ** 31);
/** As numbers of processes and users, -1 where the system did not say. */
const systemId = integer(-1, 2 ** 32);
/** A sentence, an error's stack, a request's target: as long as Node's limit on the headers of a request can be set. */
const long = text(65_536);
const short = text(1024);
const reason = long;
const err: Check<ErrorRecord> = record<ErrorRecord>({ type: short, message: long, stack: long });
const request = { reqId: short, method: short, url: long };
const inFlight: Fields<RequestInFlight> = { ...request, ageMs: duration };
const answered = record<NonNullable<LostRequest['answered']>>({ status: integer(0, 65_535), isOver: flag });
const lost: Fields<LostRequest> = { ...inFlight, fingerprint: short, answered: optional(answered) };
const failure = { ...request, err };

const events: { readonly [N in EventName]: FieldsOf<Extract<WorkerEvent, { event: N }>, 'event' | 'tid'> } = {
  'request-failed': failure,
  'response-cut': failure,
  'client-gone': failure,
  'request-overdue': failure,
  'request-refused': request,
  'request-lost': lost,
  request: { ...lost, status: integer(0, 65_535), isSuspect: flag },
  'request-cut': inFlight,
  answers: { count, failed: count, times: list(96, count) },
  'suspect-cleared': { fingerprint: short },
  'app-crashed': { err },
  'thread-lost': { connections: count, reason, replacedInMs: optional(duration) },
  'thread-recycled': { reason },
  'threads-scaled': { from: count, to: count, reason },
  'thread-unfit': { reason, retryInMs: duration },
  hung: { stillMs: duration, stack: list(100, short), requests: list(1000, record(inFlight)) },
  'connection-lost': { reason },
  'connections-shed': { count },
  'migration-refused': { count, senderPid: systemId, senderUid: systemId },
  'access-log-failed': { reason },
  'access-log-resumed': { lost: count },
};

/** Of a worker whose only event loop is its own: what it was at when it ended, the supervisor reads itself. */
const onlyWithThreads = new Set<EventName>([
  'request-lost',
  'request',
  'thread-lost',
  'thread-recycled',
  'threads-scaled',
  'thread-unfit',
]);

const checks: ReadonlyMap<unknown, Check<object>> = new Map(
  Object.entries(events).map(([name, fields]) => [name, record(fields as Fields<object>)]),
);

const messages: { readonly [T in Exclude<Type, 'event'>]: FieldsOf<Extract<FromWorker, { type: T }>, 'type'> } = {
  ready: {},
  failed: { exitCode: oneOf(...Object.values(ExitCode)), message: long, stack: long },
  taken: { id: integer(1, Number.MAX_SAFE_INTEGER) },
  refused: { id: integer(1, Number.MAX_SAFE_INTEGER) },
  ended: { id: integer(1, Number.MAX_SAFE_INTEGER) },
  answered: { count },
  draining: {},
  migrating: {},
  load: { load: number(0, 1) },
  answer: { id: integer(1, Number.MAX_SAFE_INTEGER), ms: optional(number(-1, 1e13)), failure: optional(long) },
};

const bodies: ReadonlyMap<unknown, Check<object>> = new Map(
  Object.entries(messages).map(([type, fields]) => [type, record(fields as Fields<object>)]),
);

/** A message that is safe to act on; undefined for one that no worker of ours sends. Never throws. */
export function checkMessage(raw: unknown, sender: Sender): FromWorker | undefined {
  const type = ownField(raw, 'type');
  if (type === 'event') {
    const event = checkEvent(ownField(raw, 'event'), sender);
    return event && { type, event };
  }
  const body = bodies.get(type)?.(raw) ?? invalid;
  return body === invalid ? undefined : ({ type, ...body } as FromWorker);
}

type IdentifiedEvent = Extract<FromWorker, { type: 'event' }>['event'];

function checkEvent(raw: unknown, { pid, hasThreads }: Sender): IdentifiedEvent | undefined {
  const event = ownField(raw, 'event');
  if (!hasThreads && onlyWithThreads.has(event as EventName)) return undefined;
  const fields = checks.get(event)?.(raw) ?? invalid;
  const thread = hasThreads ? tid(ownField(raw, 'tid')) : 0;
  return fields === invalid || thread === invalid
    ? undefined
    : ({ event, pid, tid: thread, ...fields } as IdentifiedEvent);
}

/** What an operator is told of a message that is not one of ours: its type, which may be anything. */
export function describeMessage(raw: unknown): string {
  const type = ownField(raw, 'type');
  const event = type === 'event' ? ownField(ownField(raw, 'event'), 'event') : undefined;
  return [type, event]
    .map((name) => (typeof name === 'string' ? name.slice(0, 64) : typeof name))
    .join(' ')
    .replace(/ undefined$/, '');
}

function ownField(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}
