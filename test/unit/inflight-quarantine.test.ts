// Who is suspected of ending workers, who is refused, and who is let go.
import { beforeEach, expect, test, vi } from 'vitest';
import { Events } from '../../src/events.ts';
import { Watchlist } from '../../src/inflight/denylist.ts';
import { fingerprintOf, subjectOf } from '../../src/inflight/fingerprint.ts';
import { Quarantine } from '../../src/inflight/quarantine.ts';

let events: Events;
let now: number;
beforeEach(() => {
  events = new Events();
  now = 0;
  vi.spyOn(process, 'hrtime').mockImplementation(() => [now / 1000, 0]);
  return () => vi.restoreAllMocks();
});

const flight = (url: string, body = 'none') => ({
  reqId: 'a',
  method: 'GET',
  url,
  ageMs: 1,
  fingerprint: fingerprintOf(subjectOf('GET', url), body),
});
const dies = (...urls: string[]): void => {
  now += 1000;
  for (const url of urls) events.tell({ event: 'request-lost', ...flight(url) });
};

test('three deaths without an answer in between', () => {
  const quarantine = new Quarantine({ quarantineAfter: 3, hangTimeout: 30_000 }, events);
  dies('/a', '/b');
  dies('/a', '/a', '/c');
  expect(quarantine.list()).toMatchObject([
    { url: '/a', deaths: 2, isRefused: false },
    { url: '/b', deaths: 1 },
    { url: '/c', deaths: 1 },
  ]);
  events.tell({ event: 'suspect-cleared', fingerprint: 'GET /b none' });
  dies('/a', '/b');
  expect(quarantine.watched).toEqual({ suspects: ['GET /c none', 'GET /b none'], refused: ['GET /a none'] });
  // Once refused, it is refused until somebody clears it.
  events.tell({ event: 'suspect-cleared', fingerprint: 'GET /a none' });
  expect(quarantine.watched.refused).toEqual(['GET /a none']);
  expect(quarantine.release()).toBe(1);
  expect(quarantine.watched).toEqual({ suspects: [], refused: [] });
});

test('deaths one right after the other count once', () => {
  const quarantine = new Quarantine({ quarantineAfter: 2, hangTimeout: 30_000 }, events);
  dies('/a');
  for (let i = 0; i < 10; i++) events.tell({ event: 'request-lost', ...flight('/a') });
  expect(quarantine.list()).toMatchObject([{ deaths: 1, isRefused: false }]);
});

test('after an hour without a death it is forgotten; what was refused is not', () => {
  const quarantine = new Quarantine({ quarantineAfter: 2, hangTimeout: 30_000 }, events);
  dies('/a', '/b');
  dies('/a');
  now += 3_700_000;
  dies('/c');
  expect(quarantine.list()).toMatchObject([{ url: '/a', isRefused: true }, { url: '/c' }]);
});

test('what had been served for longer than a hang takes to be found is no suspect', () => {
  const quarantine = new Quarantine({ quarantineAfter: 2, hangTimeout: 30_000 }, events);
  events.tell({ event: 'request-lost', ...flight('/events'), ageMs: 121_000 });
  dies('/a');
  expect(quarantine.list()).toMatchObject([{ url: '/a' }]);
});

test('who makes up requests does not make it grow without bound; the oldest are forgotten', () => {
  const quarantine = new Quarantine({ quarantineAfter: 3, hangTimeout: 30_000 }, events);
  for (let i = 0; i < 10; i++) dies(...Array.from({ length: 256 }, (_, k) => `/${i}/${k}`));
  expect(quarantine.list()).toHaveLength(1000);
  expect(quarantine.watched.suspects).toContain('GET /9/255 none');
  expect(quarantine.watched.suspects).not.toContain('GET /0/0 none');
});

test('0 suspects nobody', () => {
  const quarantine = new Quarantine({ quarantineAfter: 0, hangTimeout: 30_000 }, events);
  for (let i = 0; i < 5; i++) dies('/a');
  expect(quarantine.list()).toEqual([]);
});

test('a watchlist tells of a suspect that was answered, once; and knows for whom the body decides', () => {
  const cleared: string[] = [];
  const refused = ['POST /b 00ff', 'POST /c unknown', 'GET /d none'];
  const list = new Watchlist({ suspects: ['GET /a none', 'POST /e unknown'], refused }, (one) => cleared.push(one));
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
