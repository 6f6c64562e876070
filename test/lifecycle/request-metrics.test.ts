// With --unit request the metrics say the same of the same requests as they do where a worker has whole connections.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { summaryOf } from '../../src/control/loop-summary.ts';
import { connectedLoops, knownRequests, type LoopView } from '../../src/scoreboard/loop-view.ts';
import { reaches, type Samples, scrape } from '../helpers/samples.ts';
import { fixture } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';
import { connect, connectAll, type Wire } from '../helpers/wire.ts';

const code = readFileSync(fixture('counted.cjs'), 'utf8');
const common = ['--admin', 'unix:SOCKET', '--max-body-size', '1K', '--queue-max', '4', '--queue-timeout', '500ms'];

/** Two requests can be in the app. */
const prefork = () =>
  Site.start('prefork', ['--workers', '1', '--max-inflight', '2', ...common], {}, {}, undefined, code);
const requests = () =>
  Site.start('prethread', ['--threads', '2', '--unit', 'request', ...common], {}, {}, undefined, code);

/** Of requests, without the names of buckets, which say how long they took. */
function counted(samples: Samples): Record<string, number> {
  const names = /^mpserve_(requests|responses|request_duration_seconds_count|time_to_first_byte_seconds_count)/;
  return Object.fromEntries(
    [...samples].filter(([name]) => names.test(name) || /^mpserve_connections_(opened|closed)/.test(name)),
  );
}

const answersOf = async (wires: readonly Wire[], line: string): Promise<readonly number[]> =>
  Promise.all(wires.map(async (wire) => (await wire.ask(line)).status));

async function abandon(site: Site, count: number, line: string, seen: string): Promise<void> {
  using wires = await connectAll(site.server.url, count);
  for (const [i, wire] of wires.all.entries()) {
    await wire.request(line);
    await site.server.waitForMany(`request ${i}`, (one) => one.seen === seen, i + 1);
    wire.close();
    await reaches(site, 'mpserve_requests_in_flight', 0);
  }
}

/** 500 requests. @returns the metrics while the queue is full, and after all of them */
async function play(site: Site): Promise<readonly Record<string, number>[]> {
  const { url } = site.server;
  using kept = await connect(url);
  for (let i = 0; i < 63; i++) {
    expect((await kept.ask('GET /ok')).status).toBe(200);
    expect((await kept.ask('HEAD /ok')).status).toBe(200);
    expect((await kept.ask('POST /echo', {}, 'echoed')).body).toBe('echoed');
    expect((await kept.ask('PUT /missing')).status).toBe(404);
    expect((await kept.ask('GET /missing')).status).toBe(404);
    expect((await kept.ask('DELETE /error')).status).toBe(500);
    expect((await kept.ask('GET /late-error')).status).toBe(500);
  }
  // 441
  for (let i = 0; i < 20; i++) {
    using large = await connect(url);
    expect((await large.ask('POST /echo', {}, 'x'.repeat(2000))).status).toBe(413);
  }
  await abandon(site, 10, 'GET /until-gone', 'waiting');
  await abandon(site, 5, 'GET /half', 'half');
  for (let i = 0; i < 10; i++) {
    using cut = await connect(url);
    await cut.request('GET /cut');
    expect(String(await cut.rest())).toContain('half');
  }
  // 486: two in the app, four that wait for too long, six that may not wait.
  using slow = await connectAll(url, 2);
  using more = await connectAll(url, 4);
  using most = await connectAll(url, 6);
  const first = answersOf(slow.all, 'GET /sleep?ms=1500');
  await reaches(site, 'mpserve_requests_in_flight', 2);
  const waiting = answersOf(more.all, 'GET /ok');
  await reaches(site, 'mpserve_requests_waiting', 4);
  expect(await answersOf(most.all, 'GET /ok')).toEqual([503, 503, 503, 503, 503, 503]);
  const full = counted(await scrape(site));
  expect(await waiting).toEqual([503, 503, 503, 503]);
  expect(await first).toEqual([200, 200]);
  for (let i = 0; i < 2; i++) expect((await kept.ask('GET /ok')).status).toBe(200);
  await reaches(site, 'mpserve_requests_in_flight', 0);
  await reaches(site, 'mpserve_connections_open', 13);
  return [full, counted(await scrape(site))];
}

test.concurrent('500 requests of each kind are counted as in prefork', async () => {
  await using one = await prefork();
  await using other = await requests();
  const [[fullBefore, before], [fullAfter, after]] = (await Promise.all([play(one), play(other)])) as [
    [Record<string, number>, Record<string, number>],
    [Record<string, number>, Record<string, number>],
  ];
  expect(fullAfter).toEqual(fullBefore);
  expect(after).toEqual(before);
  const total = Object.entries(after).reduce(
    (sum, [name, n]) => (/^mpserve_requests_total/.test(name) ? sum + n : sum),
    0,
  );
  expect(total + (after.mpserve_requests_unanswered_total as number)).toBe(500);
  expect(after['mpserve_requests_refused_total{reason="queue-timeout"}']).toBe(4);
  expect(after['mpserve_requests_refused_total{reason="queue-full"}']).toBe(6);
});

test.concurrent('a request is shown once: in its thread, of those of the process', async () => {
  await using site = await requests();
  using slow = await connect(site.server.url);
  using quick = await connect(site.server.url);
  for (let i = 0; i < 6; i++) await quick.ask('GET /ok');
  const loops = async (): Promise<readonly LoopView[]> => (await site.ask('GET', '/workers')).json[0].loops;
  const answer = slow.ask('GET /sleep?ms=2000');
  await reaches(site, 'mpserve_requests_in_flight', 1);
  const views = await loops();
  expect(views.map(({ tid, isHosted, inFlight }) => [tid === 0, isHosted, inFlight]).sort()).toEqual([
    [false, true, 0],
    [false, true, 1],
    [true, undefined, 1],
  ]);
  expect(summaryOf(views)?.inFlight).toBe(1);
  const known = knownRequests(views);
  expect(known.map(({ request }) => request.url)).toEqual(['/sleep?ms=2000']);
  expect(known[0]?.loop.isHosted).toBe(true);
  const samples = await scrape(site);
  for (const thread of [0, 1, 2])
    expect(samples.get(`mpserve_heap_bytes{worker="1",thread="${thread}"}`)).toBeGreaterThan(0);
  expect((await answer).body).toBe('slept');
  await reaches(site, 'mpserve_requests_in_flight', 0);
  expect(connectedLoops(await loops()).reduce((sum, { requests }) => sum + requests, 0)).toBe(7);
  expect((await site.ask('GET', '/status')).json).toMatchObject({ model: 'prethread', unit: 'request' });
  expect((await site.ctl('status')).stdout).toMatch(/^unit +request: threads get single requests$/m);
  expect((await site.ctl('config')).stdout).toMatch(/unit +request +from --unit/);
});
