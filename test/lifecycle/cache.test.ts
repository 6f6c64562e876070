// --cache in a server: in each model, over all workers, and as operators and the other stages see it.
import { expect, test } from 'vitest';
import { ask } from '../helpers/cache-client.ts';
import { eventually } from '../helpers/eventually.ts';
import { testPlacements } from '../helpers/placements.ts';
import { scrape } from '../helpers/samples.ts';
import { Site } from '../helpers/site.ts';
import { connect, type Response } from '../helpers/wire.ts';

/** Counts the requests of its event loop; a path says what it answers. */
const code = `
let count = 0;
module.exports = (req, res) => {
  const { pathname } = new URL(req.url, 'http://app');
  if (pathname === '/stored') res.setHeader('cache-control', 'max-age=600');
  if (pathname === '/tagged') res.writeHead(200, { 'cache-control': 'max-age=600', 'surrogate-key': 'news sport', 'cache-tag': 'a b,c' });
  if (pathname === '/slow') {
    count++;
    const body = process.pid + ' ' + count;
    return setTimeout(() => res.writeHead(200, { 'cache-control': 'max-age=600' }).end(body), 1500);
  }
  if (pathname === '/exit') process.exit(1);
  if (pathname === '/held') return setTimeout(() => res.end('late'), 3000);
  res.end(process.pid + '.' + require('node:worker_threads').threadId + ' ' + ++count);
};`;

const start = (model: string, args: readonly string[] = []): Promise<Site> =>
  Site.start(model, ['--cache', '32M', ...args], {}, {}, undefined, code);

const statusOf = ({ headers }: Response): string => String(headers['cache-status']);

testPlacements('the second request is answered from memory', async ({ model, accept, args = [] }) => {
  await using site = await start(model, [...args, ...(accept ? ['--accept', accept] : [])]);
  using wire = await connect(site.server.url);
  const first = await wire.ask('GET /stored');
  expect(statusOf(first)).toBe('mpserve; fwd=uri-miss');
  const second = await wire.ask('GET /stored');
  expect(second.body).toBe(first.body);
  expect(statusOf(second)).toMatch(/^mpserve; hit; ttl=\d+$/);
  expect(second.headers.date).toBe(first.headers.date);
  const other = await wire.ask('GET /other');
  expect(other.body).not.toBe(first.body);
  const { json } = await site.ask('GET', '/cache');
  expect(json).toMatchObject({ hits: 1, misses: 2, stored: 1, maxBytes: 32 * 1024 ** 2 });
});

/** Asks until all four workers have what they answer stored. @returns a connection to each */
async function fill(site: Site, target: string): Promise<readonly Awaited<ReturnType<typeof connect>>[]> {
  const wires = new Map<string, Awaited<ReturnType<typeof connect>>>();
  await eventually('a connection to each worker', async () => {
    const wire = await connect(site.server.url);
    const [pid = ''] = (await wire.ask(`GET ${target}`)).body.split(' ');
    if (wires.has(pid)) wire.close();
    else wires.set(pid, wire);
    return wires.size === 4;
  });
  return [...wires.values()];
}

test.each([
  ['prefork', '--workers'],
  ['prethread', '--threads'],
])('%s: a purge and an unsafe request reach all four', async (model, size) => {
  await using site = await start(model, [size, '4', '--accept', 'dispatch', '--balance', 'round-robin']);
  const wires = await fill(site, '/tagged');
  const outcomes = async (target = '/tagged') => {
    const all: string[] = [];
    for (const wire of wires) all.push(statusOf(await wire.ask(`GET ${target}`)).split('; ')[1] ?? '');
    return [...new Set(all)].join();
  };
  expect(await outcomes()).toBe('hit');
  for (const [words, message] of [
    [['/tagged'], 'purged the responses for /tagged'],
    [[`http://example.com/tagged`], 'purged the responses for /tagged'],
    [['sport'], 'purged the responses with the tag sport'],
    [['a b'], 'purged the responses with the tag a b'],
    [[], 'purged all responses'],
  ] as const) {
    const { stdout, code } = await site.ctl('cache', 'purge', ...words);
    expect([stdout.trim(), code]).toEqual([message, 0]);
    expect(await outcomes(), words.join()).toBe('fwd=uri-miss');
    expect(await outcomes()).toBe('hit');
  }
  await site.ctl('cache', 'purge', '/elsewhere');
  expect(await outcomes()).toBe('hit');
  await wires[0]?.ask('DELETE /tagged');
  expect(await outcomes()).toBe('fwd=uri-miss');
  // A reload brings another release.
  for (const wire of wires) wire.close();
  await site.ctl('reload');
  using wire = await connect(site.server.url);
  expect(statusOf(await wire.ask('GET /tagged'))).toBe('mpserve; fwd=uri-miss');
});

test('500 simultaneous requests for a cold key call the app once in each worker', async () => {
  await using site = await start('prefork', ['--workers', '2']);
  const all = await Promise.all(Array.from({ length: 500 }, () => ask(`${site.server.url}/slow`)));
  const bodies = new Set(all.map(({ body }) => body));
  expect(all.map(({ status }) => status)).toEqual(Array(500).fill(200));
  expect([...bodies].every((body) => body.endsWith(' 1'))).toBe(true);
  expect(bodies.size).toBeLessThanOrEqual(2);
});

test('a request that is answered from memory is suspected of nothing', async () => {
  await using site = await start('prefork', ['--workers', '1', '--quarantine-after', '1']);
  using wire = await connect(site.server.url);
  await wire.ask('GET /stored');
  expect(statusOf(await wire.ask('GET /stored'))).toContain('hit');
  using other = await connect(site.server.url);
  await other.ask('GET /exit').catch(() => {});
  await eventually('the suspect', async () => (await site.ask('GET', '/quarantine')).json.length === 1);
  const { json } = await site.ask('GET', '/quarantine');
  expect(json.map(({ url }: { url: string }) => url)).toEqual(['/exit']);
});

test('what operators see: ctl, /status, metrics, the access log', async () => {
  await using site = await start('prefork', ['--workers', '1', '--admin', '0', '--access-log', '-']);
  using wire = await connect(site.server.url);
  for (const target of ['/stored', '/stored', '/stored', '/other']) await wire.ask(`GET ${target}`);
  const stats = await site.ctl('cache', 'stats');
  expect(stats.stdout).toMatch(
    /^hit ratio +50 %\nhits +2\n[\s\S]*misses +2\n[\s\S]*stored +1\n[\s\S]*memory +0 MB of 34 MB\n$/,
  );
  expect(JSON.parse((await site.ctl('cache', '--json')).stdout)).toMatchObject({ hits: 2, misses: 2 });
  expect((await site.ctl('status')).stdout).toContain('cache       50 % hits (2, 2 misses), 0 MB of 34 MB');
  const samples = await scrape(site);
  const of = (name: string) => samples.get(name);
  expect(of('mpserve_cache_requests_total{outcome="hit"}')).toBe(2);
  expect(of('mpserve_cache_requests_total{outcome="miss"}')).toBe(2);
  expect(of('mpserve_cache_stored_total')).toBe(1);
  expect(of('mpserve_cache_evicted_total')).toBe(0);
  expect(of('mpserve_cache_bytes')).toBeGreaterThan(1000);
  // A hit is a request like any other to a client.
  expect(of('mpserve_requests_total{method="GET",class="2xx"}')).toBe(4);
  await site.server.waitForMany('the access lines', ({ event }) => event === 'request', 4);
  const logged = site.server.lines.filter(({ event }) => event === 'request');
  expect(logged.map(({ cache }) => cache)).toEqual(['miss', 'hit', 'hit', 'miss']);
  await site.ctl('cache', 'purge', 'x\u001b[2J');
  const purged = await site.server.waitFor('the purge', ({ event }) => event === 'cache-purged');
  expect(purged).toMatchObject({ purged: 'the responses with the tag x\u001b[2J' });
});

test('a hit needs no place in the app, and counts for the rate limit', async () => {
  const limits = ['--max-inflight', '1', '--queue-max', '0', '--rate-limit', '1/h:burst=4'];
  await using site = await start('prefork', ['--workers', '1', ...limits]);
  using wire = await connect(site.server.url);
  await wire.ask('GET /stored');
  using busy = await connect(site.server.url);
  const held = busy.ask('GET /held');
  await eventually('the app to be busy', async () => {
    const { json } = await site.ask('GET', '/workers');
    return json[0].loops[0].inFlight === 1;
  });
  expect(statusOf(await wire.ask('GET /stored'))).toContain('hit');
  expect((await wire.ask('GET /other')).status).toBe(503);
  expect((await wire.ask('GET /stored')).status).toBe(429);
  await held;
});

test.each([
  [['cache', 'flush'], /mpserve ctl cache takes stats or purge, not 'flush'/, 2],
  [['cache', 'stats', 'a'], /mpserve ctl cache stats takes no argument, but got 'a'/, 2],
  [['cache', 'purge', 'a', 'b'], /unexpected argument 'b'/, 2],
  [['cache', 'purge', `/${'x'.repeat(3000)}`], /at most 2048 characters/, 1],
])('ctl %j is refused', async (words, message, exitCode) => {
  await using site = await start('prefork', ['--workers', '1']);
  const { stdout, stderr, code } = await site.ctl(...words);
  expect(stdout + stderr).toMatch(message);
  expect(code).toBe(exitCode);
});

test('a server without a cache says so, and refuses bad requests', async () => {
  await using site = await Site.start('prefork', ['--workers', '1']);
  expect((await site.ctl('cache')).stdout).toBe('the server has no cache (--cache)\n');
  expect((await site.ctl('cache', 'purge')).stderr).toContain('the server has no cache (--cache)');
  expect((await site.ask('POST', '/purge', '{"url": 3}')).status).toBe(400);
  expect((await site.ask('GET', '/cache')).json).toBeNull();
});
