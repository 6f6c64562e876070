// Every message, report and event of a worker, with each of its fields replaced by each of a set of wrong values: the check refuses
// it, or returns it in a form that can be logged and acted on.
import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { Events, type WorkerEvent, wording } from '../../src/events.ts';
import { openLog } from '../../src/log/logger.ts';
import { redaction } from '../../src/log/redact.ts';
import type { WorkerReport } from '../../src/reports/report.ts';
import { Reports } from '../../src/reports/reports.ts';
import { ResponseStats } from '../../src/scaling/response-stats.ts';
import { checkMessage, describeMessage } from '../../src/worker/checked-messages.ts';
import type { FromWorker } from '../../src/worker/messages.ts';

const host = { pid: 42, hasThreads: true };
const single = { pid: 42, hasThreads: false };
const request = { reqId: 'r', method: 'GET', url: '/' };
const lost = { ...request, ageMs: 1, fingerprint: 'GET / none', answered: { status: 200, isOver: true } };
const err = { type: 'Error', message: 'no', stack: 'no' };
type Body<M, Besides extends string> = M extends unknown ? Omit<M, Besides> : never;

const reports: { readonly [K in WorkerReport['kind']]: Body<Extract<WorkerReport, { kind: K }>, 'kind' | 'tid'> } = {
  answers: { count: 1, failed: 0, times: [0, 1] },
  'suspect-cleared': { fingerprint: 'GET / none' },
  'request-ended': { ...lost, isWanted: true },
  'app-crashed': { err },
  'thread-lost': { connections: 1, reason: 'x', replacedInMs: 5 },
  'server-closed': { replacedInMs: 5 },
  'thread-unfit': { reason: 'x', retryInMs: 1 },
  'threads-scaled': { from: 1, to: 2, reason: 'x' },
  'sessions-placed-again': { count: 3 },
  'threads-down': {},
  'threads-up': {},
  hung: { stillMs: 1, stack: ['at x'], requests: [{ ...request, ageMs: 1 }] },
};

const events: { readonly [N in WorkerEvent['event']]: Body<Extract<WorkerEvent, { event: N }>, 'event' | 'tid'> } = {
  'request-failed': { ...request, err },
  'response-cut': { ...request, err },
  'client-gone': { ...request, err },
  'request-overdue': { ...request, err },
  'request-refused': request,
  'request-cut': { ...request, ageMs: 1 },
  'thread-recycled': { reason: 'x' },
  'connection-lost': { reason: 'x' },
  'connections-shed': { count: 1 },
  'rate-limited': { count: 3, remote: '203.0.113.7' },
  'proxy-refused': { count: 3, peer: '203.0.113.7', reason: 'it sent no valid PROXY header' },
  overloaded: { reason: 'shed', count: 3, ...request, waitedMs: 12 },
  'descriptors-used-up': { used: 60, limit: 64, connections: 20 },
  'migration-refused': { count: 1, senderPid: 1, senderUid: -1 },
  'static-unreadable': { dirs: ['/x'], reason: 'x' },
  'cache-store-down': { store: 'x', part: 'writes', reason: 'x' },
  'cache-store-up': { store: 'x', part: 'all', ms: 1 },
  'access-log-failed': { reason: 'x' },
  'several-servers': { served: 'x', others: ['x'] },
  'cluster-fork': {},
  'upgrades-refused': {},
  'thread-limits': { uses: ['SIGHUP'] },
  'access-lines-unwritten': { count: 1 },
  'access-log-resumed': { lost: 1 },
};

const messages: {
  readonly [T in Exclude<FromWorker['type'], 'report' | 'event'>]: Body<Extract<FromWorker, { type: T }>, 'type'>;
} = {
  ready: {},
  failed: { exitCode: 4, message: 'x', stack: 'x' },
  taken: { id: 1 },
  refused: { id: 1 },
  ended: { id: 1 },
  answered: { count: 1 },
  session: { session: '0123456789abcdef' },
  closed: {},
  draining: {},
  migrating: {},
  load: { load: 0.5 },
  chdir: { directory: '/' },
  answer: {
    id: 1,
    ms: -1,
    failure: 'x',
    loops: [
      {
        tid: 1,
        state: 'blocked',
        stack: ['f (a.js:1:1)'],
        unreadable: 'native',
        inFlight: 1,
        oldest: [{ ...request, ageMs: 1 }],
      },
    ],
  },
  listen: { id: 1, address: { kind: 'tcp', host: '::1', port: 80, index: 1, ipv6Only: true } },
  unlisten: { id: 1, isClosed: true },
};

const wrong: readonly unknown[] = [
  undefined,
  null,
  true,
  -2,
  1.5,
  1e300,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  '',
  'x'.repeat(1024 ** 2),
  '\u0000\n\ud800"',
  [],
  [null],
  new Array(100_000).fill({}),
  {},
  { length: 3 },
  JSON.parse('{"__proto__":{"message":1}}'),
  { toString: null, valueOf: null },
  () => 1,
  Symbol('x'),
  1n,
];

/** `value` with each of its fields, and theirs, replaced by `other`, one at a time. */
function* spoilt(value: object, other: unknown): Generator<object> {
  for (const [name, field] of Object.entries(value)) {
    yield { ...value, [name]: other };
    if (Array.isArray(field)) for (const inner of field) yield { ...value, [name]: [inner, other] };
    if (typeof field !== 'object' || field === null) continue;
    for (const inner of spoilt(field, other))
      yield { ...value, [name]: Array.isArray(field) ? Object.values(inner) : inner };
  }
}

/** Logs it as the supervisor does. @returns the line; empty for a report that has none */
function logged(message: Extract<FromWorker, { type: 'report' | 'event' }>): string {
  let line = '';
  const stream = new Writable({
    write: (chunk, _, done) => {
      line += chunk;
      done();
    },
  });
  const log = new Events();
  log.open(openLog('trace', stream, redaction([])));
  if (message.type === 'report') new Reports(log).publish(message.report);
  else log.tell(message.event);
  return line;
}

const eventOfReport = (report: WorkerReport): string | undefined => {
  if (report.kind !== 'request-ended') return report.kind;
  return report.answered ? undefined : report.isWanted ? 'request-cut' : 'request-lost';
};

describe.each(Object.entries(reports))('the report %s', (kind, body) => {
  const message = { type: 'report', report: { kind, pid: 7, tid: 3, ...body } };

  test('is passed on as it is, with the pid of its worker', () => {
    expect(checkMessage({ ...message, more: 1, report: { ...message.report, more: 1 } }, host)).toEqual({
      type: 'report',
      report: { ...message.report, pid: 42 },
    });
  });

  test('harms nobody with wrong fields', () => {
    for (const other of wrong) {
      for (const report of spoilt(message.report, other)) {
        const checked = checkMessage({ type: 'report', report }, host);
        if (checked?.type !== 'report') continue;
        expect(checked.report.pid).toBe(42);
        expect(Number.isSafeInteger(checked.report.tid)).toBe(true);
        const line = logged(checked);
        expect(line === '' ? undefined : JSON.parse(line).event).toBe(eventOfReport(checked.report));
        expect(line.length).toBeLessThan(1e6);
        if (checked.report.kind === 'answers') new ResponseStats().merge(checked.report);
      }
    }
  });
});

describe.each(Object.entries(events))('the event %s', (name, body) => {
  const message = { type: 'event', event: { event: name, pid: 7, tid: 3, ...body } };

  test('is passed on as it is, with the pid of its worker', () => {
    expect(checkMessage({ ...message, more: 1, event: { ...message.event, more: 1 } }, host)).toEqual({
      type: 'event',
      event: { ...message.event, pid: 42 },
    });
  });

  test('harms nobody with wrong fields', () => {
    for (const other of wrong) {
      for (const event of spoilt(message.event, other)) {
        const checked = checkMessage({ type: 'event', event }, host);
        if (checked?.type !== 'event') continue;
        expect(checked.event.pid).toBe(42);
        expect(Number.isSafeInteger(checked.event.tid)).toBe(true);
        const line = logged(checked);
        expect(JSON.parse(line).event).toBe(name);
        expect(line.length).toBeLessThan(1e6);
      }
    }
  });
});

describe.each(Object.entries(messages))('the message %s', (type, body) => {
  test('is passed on as it is', () => {
    expect(checkMessage({ type, ...body, more: 1 }, single)).toEqual({ type, ...body });
  });

  test('is refused with fields of another type, or beyond their range', () => {
    for (const other of wrong) {
      for (const fields of spoilt(body, other)) {
        const checked = checkMessage({ type, ...fields }, single);
        if (!checked) continue;
        const field = Object.values(checked)
          .slice(1)
          .find((value) => !Object.values(body).includes(value as never));
        if (field === undefined) continue;
        if (typeof field === 'string') expect(field.length).toBeLessThanOrEqual(65_536);
        // Of an address, what may be absent.
        else if (type === 'listen') expect(messages.listen.address).toMatchObject(field as object);
        else if (Array.isArray(field)) {
          expect(type).toBe('answer');
          expect(field.length).toBeLessThanOrEqual(256);
          expect(JSON.stringify(field).length).toBeLessThan(150_000);
          for (const loop of field)
            expect(Object.keys(loop)).toEqual(expect.arrayContaining(['tid', 'state', 'stack', 'inFlight', 'oldest']));
        } else expect({ type, field }).toEqual({ type: 'answer', field: 1.5 });
      }
    }
  });
});

test('what is no message is refused, and described in few characters', () => {
  for (const raw of [
    ...wrong,
    ...wrong.map((type) => ({ type })),
    ...wrong.map((kind) => ({ type: 'report', report: { kind } })),
    ...wrong.map((event) => ({ type: 'event', event: { event } })),
  ]) {
    expect(checkMessage(raw, host)).toBeUndefined();
    expect(describeMessage(raw).length).toBeLessThan(150);
  }
});

test('a worker cannot send reports and events of the supervisor', () => {
  for (const name of Object.keys(wording)) {
    const fields = { tid: 0, reason: 'x', ...request, err, count: 1 };
    if (checkMessage({ type: 'report', report: { kind: name, ...fields } }, host))
      expect(Object.keys(reports)).toContain(name);
    if (checkMessage({ type: 'event', event: { event: name, ...fields } }, host))
      expect(Object.keys(events)).toContain(name);
  }
});

test('a worker without threads reports the end of none, and accuses no request', () => {
  for (const kind of ['request-ended', 'thread-lost', 'threads-scaled'] as const) {
    expect(checkMessage({ type: 'report', report: { kind, tid: 0, ...reports[kind] } }, single)).toBeUndefined();
  }
  const event = 'thread-recycled';
  expect(checkMessage({ type: 'event', event: { event, tid: 0, ...events[event] } }, single)).toBeUndefined();
});

test('fields of a prototype do not count', () => {
  const inherited = Object.create({ type: 'answered', count: 1 });
  expect(checkMessage(inherited, single)).toBeUndefined();
  expect(checkMessage(Object.assign(Object.create({ count: 1 }), { type: 'answered' }), single)).toBeUndefined();
});
