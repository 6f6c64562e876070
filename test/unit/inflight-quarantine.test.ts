// Which requests are suspected of killing workers, which are refused, and which are cleared.
import { beforeEach, expect, test, vi } from 'vitest';
import { Events } from '../../src/events.ts';
import { Denylist, emptyDenylist } from '../../src/inflight/denylist.ts';
import { fingerprintOf, requestLine, targetOf } from '../../src/inflight/fingerprint.ts';
import { Quarantine } from '../../src/inflight/quarantine.ts';
import type { LostRequest } from '../../src/reports/report.ts';
import { Reports } from '../../src/reports/reports.ts';

let events: Events;
let reports: Reports;
let now: number;
beforeEach(() => {
  events = new Events();
  reports = new Reports(events);
  now = 0;
  vi.spyOn(process, 'hrtime').mockImplementation(() => [now / 1000, 0]);
  return () => vi.restoreAllMocks();
});

const lostRequest = (url: string, body = 'none'): LostRequest => ({
  reqId: 'a',
  method: 'GET',
  url,
  ageMs: 1,
  fingerprint: fingerprintOf(requestLine('GET', targetOf(url)), body),
  evidence: 'stack',
});
/** By chance. */
const present = (url: string): LostRequest => {
  const { evidence: _, ...request } = lostRequest(url);
  return request;
};
const reportLost = (request: LostRequest, isWanted = false): void =>
  reports.publish({ kind: 'request-ended', pid: 42, ...request, isWanted });
const reportDeath = (...urls: string[]): void => {
  now += 1000;
  for (const url of urls) reportLost(lostRequest(url));
};

test('a request is refused after three deaths without an answer in between', () => {
  const quarantine = new Quarantine({ quarantineAfter: 3, hangTimeout: 30_000 }, reports, events);
  reportDeath('/a', '/b');
  reportDeath('/a', '/a', '/c');
  expect(quarantine.list()).toMatchObject([
    { url: '/a', deaths: 2, isRefused: false },
    { url: '/b', deaths: 1 },
    { url: '/c', deaths: 1 },
  ]);
  reports.publish({ kind: 'suspect-cleared', pid: 42, fingerprint: 'GET /b none' });
  reportDeath('/a', '/b');
  expect(quarantine.denylist).toEqual({
    suspects: ['GET /c none', 'GET /b none'],
    refused: ['GET /a none'],
    isSearching: true,
  });
  // What another worker has answered before it got the denylist does not count.
  reports.publish({ kind: 'suspect-cleared', pid: 42, fingerprint: 'GET /a none' });
  expect(quarantine.denylist.refused).toEqual(['GET /a none']);
  expect(quarantine.clear()).toBe(1);
  expect(quarantine.denylist).toEqual(emptyDenylist);
});

test('deaths within 250 ms count once', () => {
  const quarantine = new Quarantine({ quarantineAfter: 2, hangTimeout: 30_000 }, reports, events);
  reportDeath('/a');
  for (let i = 0; i < 10; i++) reportLost(lostRequest('/a'));
  expect(quarantine.list()).toMatchObject([{ deaths: 1, isRefused: false }]);
});

test('a request that was in flight by chance is no suspect, however often', () => {
  const quarantine = new Quarantine({ quarantineAfter: 2, hangTimeout: 30_000 }, reports, events);
  for (let i = 0; i < 10; i++) {
    now += 1000;
    reportLost(present('/page'));
    reportLost(lostRequest(`/crash?${i}`));
  }
  expect(quarantine.denylist.refused).toEqual([]);
  expect(quarantine.list().map(({ url }) => url)).not.toContain('/page');
});

test('a death counts half as much after an hour, and a request is refused for an hour', () => {
  const quarantine = new Quarantine({ quarantineAfter: 2, hangTimeout: 30_000 }, reports, events);
  const cleared: unknown[] = [];
  events.open((event) => event.event === 'quarantine-cleared' && cleared.push(event));
  reportDeath('/a', '/b', '/c');
  now += 1_800_000;
  reportDeath('/a');
  now += 1_500_000;
  reportDeath('/b');
  expect(quarantine.list()).toMatchObject([
    { url: '/a', deaths: 2, isRefused: true },
    { url: '/b', deaths: 2, isRefused: true },
    { url: '/c', deaths: 1, isRefused: false },
  ]);
  now += 2_200_000;
  expect(quarantine.denylist.refused).toEqual(['GET /b none']);
  expect(cleared).toMatchObject([{ count: 1, reason: 'GET /a: an hour has passed' }]);
  now += 4 * 3_600_000;
  expect(quarantine.denylist).toEqual(emptyDenylist);
});

test('workers search for ten minutes after a death', () => {
  const quarantine = new Quarantine({ quarantineAfter: 2, hangTimeout: 30_000 }, reports, events);
  now += 1000;
  reportLost(present('/a'));
  expect(quarantine.denylist).toEqual({ ...emptyDenylist, isSearching: true });
  now += 600_000;
  expect(quarantine.denylist).toEqual(emptyDenylist);
});

test('there are at most 32 entries of a route; the oldest are dropped', () => {
  const quarantine = new Quarantine({ quarantineAfter: 1, hangTimeout: 30_000 }, reports, events);
  reportDeath('/other');
  for (let i = 0; i < 100; i++) reportDeath(`/a?${i}`);
  expect(quarantine.list()).toHaveLength(33);
  expect(quarantine.denylist.refused).toContain('GET /other none');
  expect(quarantine.denylist.refused).toContain('GET /a?99 none');
  expect(quarantine.denylist.refused).not.toContain('GET /a?67 none');
});

test('a request older than a minute and a hang timeout is no suspect', () => {
  const quarantine = new Quarantine({ quarantineAfter: 2, hangTimeout: 30_000 }, reports, events);
  reportLost({ ...lostRequest('/events'), ageMs: 121_000 });
  reportDeath('/a');
  expect(quarantine.list()).toMatchObject([{ url: '/a' }]);
});

test('an answered request can be a suspect until the app has finished with it, and none if its worker was told to end', () => {
  const quarantine = new Quarantine({ quarantineAfter: 2, hangTimeout: 30_000 }, reports, events);
  reportLost({ ...lostRequest('/unfinished'), answered: { status: 200, isOver: false } });
  reportLost({ ...lostRequest('/finished'), answered: { status: 200, isOver: true } });
  reportLost(lostRequest('/aborted'), true);
  expect(quarantine.list()).toMatchObject([{ url: '/unfinished' }]);
});

test('there are at most 1000 suspects; the oldest are dropped', () => {
  const quarantine = new Quarantine({ quarantineAfter: 3, hangTimeout: 30_000 }, reports, events);
  for (let i = 0; i < 10; i++) reportDeath(...Array.from({ length: 256 }, (_, k) => `/${i}/${k}`));
  expect(quarantine.list()).toHaveLength(1000);
  expect(quarantine.denylist.suspects).toContain('GET /9/255 none');
  expect(quarantine.denylist.suspects).not.toContain('GET /0/0 none');
});

test('--quarantine-after 0 suspects no request', () => {
  const quarantine = new Quarantine({ quarantineAfter: 0, hangTimeout: 30_000 }, reports, events);
  for (let i = 0; i < 5; i++) reportDeath('/a');
  expect(quarantine.list()).toEqual([]);
});

test('a denylist reports an answered suspect once, and knows which requests need their bodies', () => {
  const cleared: string[] = [];
  const refused = ['POST /b 00ff', 'POST /c unknown', 'GET /d none'];
  const list = new Denylist({ ...emptyDenylist, suspects: ['GET /a none', 'POST /e unknown'], refused }, (one) =>
    cleared.push(one),
  );
  list.answered('GET /a', 'none');
  list.answered('GET /a', 'none');
  list.answered('POST /e', 'abcd');
  expect(cleared).toEqual(['GET /a none', 'POST /e unknown']);
  expect(list.refuses('POST /b', '00ff')).toBe(true);
  expect(list.refuses('POST /b', '1234')).toBe(false);
  expect(list.refuses('POST /c', 'unknown')).toBe(true);
  expect([list.needsBody('POST /b'), list.needsBody('POST /c'), list.needsBody('GET /d')]).toEqual([
    true,
    false,
    false,
  ]);
});
