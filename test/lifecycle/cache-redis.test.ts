// --cache-store redis://… in a server: shared by servers, kept through reloads and deaths, and its password shown nowhere.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { hasRedis, RedisServer } from '../helpers/redis.ts';
import { scrape } from '../helpers/samples.ts';
import { runCli } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';
import { connect, type Response } from '../helpers/wire.ts';

/** Each response is one of its own; /exit ends the worker. */
const code = `
module.exports = (req, res) => {
  if (req.url === '/exit') process.exit(1);
  res.setHeader('cache-control', 'max-age=600');
  res.setHeader('surrogate-key', 'news');
  res.end(process.pid + ' ' + Math.random());
};`;

function start(url: string, model = 'prefork', args: readonly string[] = ['--workers', '2']): Promise<Site> {
  return Site.start(model, ['--cache', '16M', ...args], {}, { MPSERVE_CACHE_STORE: url }, undefined, code);
}

/** On a connection of its own, so that any worker may answer. */
async function askFor(site: Site, target: string): Promise<Response> {
  using wire = await connect(site.server.url);
  return await wire.ask(`GET ${target}`, { host: 'shop' });
}

const statusOf = ({ headers }: Response): string => String(headers['cache-status']).split('; ')[1] ?? '';

async function stored(site: Site, target: string): Promise<string> {
  return eventually(`${target} to be stored`, async () => {
    const response = await askFor(site, target);
    return statusOf(response) === 'hit' && response.body;
  });
}

describe.skipIf(!hasRedis)('in Redis', () => {
  test('what one server has stored is a hit on another one, and stays through a reload and a death', async () => {
    await using redis = await RedisServer.start();
    await using one = await start(redis.url());
    await using other = await start(redis.url(), 'prethread', ['--threads', '2']);
    const body = await stored(one, '/a');
    for (let i = 0; i < 8; i++) expect((await askFor(other, '/a')).body).toBe(body);
    await one.ctl('reload');
    expect((await askFor(one, '/a')).body).toBe(body);
    await askFor(one, '/exit').catch(() => {});
    await one.server.waitFor('the death', ({ event }) => event === 'worker-died');
    expect((await askFor(one, '/a')).body).toBe(body);
    for (const [i, words] of [['/a'], ['news'], []].entries()) {
      const before = await stored(one, '/a');
      expect((await one.ctl('cache', 'purge', ...words)).code).toBe(0);
      for (let n = 0; n < 8; n++) expect((await askFor(one, '/a')).body, `at once, ${i}`).not.toBe(before);
      await eventually('the other server to know', async () => (await askFor(other, '/a')).body !== before);
    }
  });

  test('ppc: a later connection gets what an earlier one has stored', async () => {
    await using redis = await RedisServer.start();
    await using site = await start(redis.url(), 'ppc', ['--max-connections', '8']);
    await stored(site, '/a');
  });

  test('a reload may change the store', async () => {
    await using redis = await RedisServer.start();
    const config = (prefix: string) => ({ cache: '16M', cacheStore: redis.url(`prefix=${prefix}`) });
    await using site = await Site.start('prefork', ['--workers', '1'], config('one'), {}, undefined, code);
    const body = await stored(site, '/a');
    site.configure(config('two'));
    await site.ctl('reload');
    expect(await stored(site, '/a')).not.toBe(body);
    site.configure({ cache: '16M' });
    await site.ctl('reload');
    expect(statusOf(await askFor(site, '/a'))).toBe('fwd=uri-miss');
  });

  test('its password is shown nowhere', { tags: ['long'] }, async () => {
    await using redis = await RedisServer.start('--requirepass', 'secret');
    const seen: string[] = [];
    for (const password of ['secret', 'wrong-secret']) {
      const url = redis.url('prefix=test', `:${password}`);
      await using site = await start(url, 'prefork', ['--workers', '1', '--admin', '0', '--log-level', 'trace']);
      if (password === 'secret') await stored(site, '/a');
      else await site.server.waitFor('the outage', ({ event }) => event === 'cache-store-down');
      for (const words of [['config'], ['config', '--json'], ['status'], ['status', '--json'], ['cache'], ['workers']])
        seen.push((await site.ctl(...words)).stdout);
      for (const path of ['/config', '/status', '/cache'])
        seen.push(JSON.stringify((await site.ask('GET', path)).json));
      seen.push(JSON.stringify([...(await scrape(site))]), JSON.stringify(site.server.lines), site.server.stderr);
      for (const pid of [site.server.pid, ...site.server.tree()])
        seen.push(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
      const env = { MPSERVE_CACHE_STORE: url };
      const { stdout, stderr } = await runCli(['config', '--cache', '16M'], { env });
      seen.push(stdout, stderr, (await runCli(['config', '--cache', '16M', '--json'], { env })).stdout);
      seen.push((await runCli(['config', `--cache-store=${url}x=y`], {})).stderr);
    }
    expect(seen.filter((text) => text.includes('secret'))).toEqual([]);
    expect(seen.filter((text) => text.includes(redis.socket)).length).toBeGreaterThan(10);
  });
});

test('a server whose store cannot be reached starts, serves and says so once', async () => {
  const url = 'redis+unix:///nowhere/redis.sock?prefix=test';
  await using site = await start(url, 'prefork', ['--workers', '2', '--admin', '0']);
  for (let i = 0; i < 8; i++) expect((await askFor(site, '/a')).status).toBe(200);
  const down = await site.server.waitFor('the outage', ({ event }) => event === 'cache-store-down');
  expect(down).toMatchObject({ store: url, part: 'all', reason: expect.stringContaining('ENOENT') });
  const stats = await site.ctl('cache', 'stats');
  expect(stats.stdout).toMatch(
    /\nstore +redis\+unix:\/\/\/nowhere\/redis\.sock\?prefix=test\nstate +down, \d+ errors\n$/,
  );
  expect((await site.ctl('status')).stdout).toContain(`${url}, down, `);
  const samples = await scrape(site);
  expect(samples.get('mpserve_cache_store_up')).toBe(0);
  expect(samples.get('mpserve_cache_stored_total')).toBe(0);
  expect(samples.get('mpserve_cache_store_errors_total{kind="connection"}')).toBeGreaterThan(0);
  expect((await site.ctl('cache', 'purge')).code).toBe(0);
  expect(site.server.lines.filter(({ event }) => event === 'cache-store-down')).toHaveLength(1);
});
