// --cache-store shared in a server: one cache for all workers and threads, which outlives them.
import { describe, expect, test } from 'vitest';
import { residentMemory, unsharedMemory } from '../../src/os/process-tree.ts';
import { ask } from '../helpers/cache-client.ts';
import { eventually } from '../helpers/eventually.ts';
import { testPlacements } from '../helpers/placements.ts';
import { scrape } from '../helpers/samples.ts';
import { Site } from '../helpers/site.ts';
import { connect, type Response } from '../helpers/wire.ts';

/** A path says what it answers. */
const code = `
module.exports = (req, res) => {
  const { pathname } = new URL(req.url, 'http://app');
  if (pathname === '/silent') return void res.end(process.pid + '');
  res.setHeader('cache-control', pathname === '/private' ? 'private' : 'max-age=600');
  const body = process.pid + '.' + require('node:worker_threads').threadId;
  if (pathname === '/slow' || pathname === '/private') return void setTimeout(() => res.end(body), 500);
  res.end(body);
};`;

const start = (model: string, args: readonly string[] = [], cache = '8M'): Promise<Site> =>
  Site.start(model, ['--cache', cache, '--cache-store', 'shared', ...args], {}, {}, undefined, code);

const statusOf = ({ headers }: Response): string => String(headers['cache-status']).replace(/\d+$/, 'N');

const hit = 'mpserve; hit; ttl=N';

testPlacements('a request on another connection is answered from memory', async ({ model, accept, args = [] }) => {
  await using site = await start(model, [...args, ...(accept ? ['--accept', accept] : [])]);
  const all: string[] = [];
  // The response is stored when its client has it; before the next one on the connection is read.
  using first = await connect(site.server.url);
  for (let i = 0; i < 2; i++) all.push(statusOf(await first.ask('GET /stored')));
  for (let i = 0; i < 2; i++) {
    using wire = await connect(site.server.url);
    all.push(statusOf(await wire.ask('GET /stored')));
  }
  expect(all).toEqual(['mpserve; fwd=uri-miss', hit, hit, hit]);
  const { json } = await site.ask('GET', '/cache');
  expect(json).toMatchObject({ hits: 3, misses: 1, stored: 1, maxBytes: 8 * 1024 ** 2 });
  expect(json.bytes).toBeGreaterThan(256);
});

/** The workers that answer, over `count` connections. */
async function hitsOf(site: Site, count: number): Promise<readonly string[]> {
  const wires = await Promise.all(Array.from({ length: count }, () => connect(site.server.url)));
  const all = await Promise.all(wires.map((wire) => wire.ask('GET /stored')));
  for (const wire of wires) wire.close();
  return [...new Set(all.map((one) => `${statusOf(one)} ${one.body}`))];
}

test('a reload, a switch of the model and the death of a worker leave the cache as it is; a purge does not', async () => {
  await using site = await start('prefork', ['--workers', '4', '--accept', 'dispatch', '--balance', 'round-robin']);
  using wire = await connect(site.server.url);
  await wire.ask('GET /stored');
  const { body } = await wire.ask('GET /stored');
  const expected = [`${hit} ${body}`];
  expect(await hitsOf(site, 8)).toEqual(expected);
  const { json: workers } = await site.ask('GET', '/workers');
  const pids: number[] = workers.map(({ pid }: { pid: number }) => pid);
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  await eventually('other workers', async () => {
    const { json } = await site.ask('GET', '/workers');
    return (
      json.filter(({ pid, stage }: { pid: number; stage: string }) => !pids.includes(pid) && stage === 'ready')
        .length === 4
    );
  });
  expect(await hitsOf(site, 8)).toEqual(expected);
  expect((await site.ctl('reload')).code).toBe(0);
  expect(await hitsOf(site, 8)).toEqual(expected);
  expect((await site.ctl('switch', '--model', 'prethread', '--threads', '2')).code).toBe(0);
  expect(await hitsOf(site, 8)).toEqual(expected);
  await site.ctl('cache', 'purge', '/stored');
  using after = await connect(site.server.url);
  expect(statusOf(await after.ask('GET /stored'))).toBe('mpserve; fwd=uri-miss');
});

describe('coalescing', () => {
  test.each([
    ['prefork', '--workers', 1000],
    ['prethread', '--threads', 200],
  ])('%s: simultaneous requests to four (%s: %d) call the app once', async (model, size, count) => {
    await using site = await start(model, [size, '4', '--accept', 'dispatch', '--balance', 'round-robin']);
    const all = await Promise.all(Array.from({ length: count }, () => ask(`${site.server.url}/slow`)));
    expect(all.map(({ status }) => status)).toEqual(Array(count).fill(200));
    expect(new Set(all.map(({ body }) => body)).size).toBe(1);
    const { json } = await site.ask('GET', '/cache');
    expect(json).toMatchObject({ misses: 1, stored: 1 });
    expect(json.hits + json.coalesced).toBe(count - 1);
  });

  test('responses that are for one client are shared with none, and soon nobody waits for them', async () => {
    await using site = await start('prefork', ['--workers', '2', '--accept', 'dispatch', '--balance', 'round-robin']);
    const all = await Promise.all(Array.from({ length: 20 }, () => ask(`${site.server.url}/private`)));
    expect(all.map(({ headers }) => headers['cache-status'])).toEqual(Array(20).fill('mpserve; fwd=uri-miss'));
  });

  test('when the worker that asks is killed, another one asks', async () => {
    await using site = await start('prefork', ['--workers', '2', '--accept', 'dispatch', '--balance', 'round-robin']);
    const { json } = await site.ask('GET', '/workers');
    const wires = [await connect(site.server.url), await connect(site.server.url)];
    const pids = await Promise.all(wires.map(async (wire) => (await wire.ask('GET /silent')).body));
    expect(new Set(pids).size).toBe(2);
    expect(json).toHaveLength(2);
    const lost = wires[0]?.ask('GET /slow').catch(() => 'lost');
    await eventually('the request', async () => {
      const { json } = await site.ask('GET', '/workers');
      return json.some(
        ({ pid, loops }: { pid: number; loops: { inFlight: number }[] }) =>
          `${pid}` === pids[0] && loops[0]?.inFlight === 1,
      );
    });
    const waiting = wires[1]?.ask('GET /slow');
    process.kill(Number(pids[0]), 'SIGKILL');
    expect(await lost).toBe('lost');
    expect((await waiting)?.body).toBe(`${pids[1]}.0`);
    for (const wire of wires) wire.close();
  });
});

test('what operators see, and that the pages of the cache are no memory of its workers', async () => {
  await using site = await start('prefork', ['--workers', '2', '--admin', '0'], '2M');
  using wire = await connect(site.server.url);
  for (let i = 0; i < 900; i++) await wire.ask(`GET /${'x'.repeat(2000)}${i}`);
  await wire.ask('GET /silent'); // the last one is stored by now
  const { json } = await site.ask('GET', '/cache');
  expect(json.bytes).toBeGreaterThan(1.5 * 1024 ** 2);
  expect(json.bytes).toBeLessThanOrEqual(json.maxBytes);
  expect(json.evicted).toBeGreaterThan(100);
  const samples = await scrape(site);
  expect(samples.get('mpserve_cache_evicted_total')).toBe(json.evicted);
  expect(Math.abs(Number(samples.get('mpserve_cache_bytes')) - json.bytes)).toBeLessThan(1024);
  const { json: workers } = await site.ask('GET', '/workers');
  const shared = workers.map(({ pid }: { pid: number }) => residentMemory(pid) - unsharedMemory(pid));
  expect(Math.max(...shared)).toBeGreaterThan(1024 ** 2);
});
