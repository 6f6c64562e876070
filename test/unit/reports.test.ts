// Reports reach those that act on them, and the log as events.
import { expect, test } from 'vitest';
import { Events, type ServerEvent } from '../../src/events.ts';
import { Reports } from '../../src/reports/reports.ts';

function logged(): { events: Events; log: ServerEvent[] } {
  const events = new Events();
  const log: ServerEvent[] = [];
  events.open((event) => log.push(event));
  return { events, log };
}

test('a subscriber gets the kinds of reports that it names, until it unsubscribes', () => {
  const reports = new Reports(new Events());
  const drained: string[] = [];
  const unsubscribe = reports.subscribe({ drained: ({ reason }) => drained.push(reason) });
  reports.publish({ kind: 'drained', reason: 'first' });
  reports.publish({ kind: 'reloading', reason: 'second' });
  unsubscribe();
  reports.publish({ kind: 'drained', reason: 'third' });
  expect(drained).toEqual(['first']);
});

test('a report is logged under its kind, before what a subscriber does about it', () => {
  const { events, log } = logged();
  const reports = new Reports(events);
  reports.subscribe({ drained: () => events.tell({ event: 'warning', warning: 'x' }) });
  reports.publish({ kind: 'drained', reason: 'SIGWINCH' });
  expect(log).toEqual([
    { event: 'drained', reason: 'SIGWINCH' },
    { event: 'warning', warning: 'x' },
  ]);
});

test('a request that ended with its worker is logged as lost or cut, and not at all if it was answered', () => {
  const { events, log } = logged();
  const reports = new Reports(events);
  const request = { pid: 42, reqId: 'a', method: 'GET', url: '/', ageMs: 1, fingerprint: 'GET / none' };
  reports.publish({ kind: 'request-ended', ...request, isWanted: false });
  reports.publish({ kind: 'request-ended', ...request, isWanted: true });
  reports.publish({ kind: 'request-ended', ...request, isWanted: false, answered: { status: 200, isOver: false } });
  expect(log).toEqual([
    { event: 'request-lost', ...request },
    { event: 'request-cut', ...request },
  ]);
});

test('events from before the log is open are logged first', () => {
  const events = new Events();
  const log: ServerEvent[] = [];
  events.tell({ event: 'warning', warning: 'early' });
  events.open((event) => log.push(event));
  events.tell({ event: 'warning', warning: 'late' });
  expect(log).toMatchObject([{ warning: 'early' }, { warning: 'late' }]);
});
