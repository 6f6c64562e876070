// --rate-limit over all workers of a server: how many requests are allowed, what the client is told, and what changes it.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { describePlacements, testSomePlacements, units } from '../helpers/placements.ts';
import { isAlive } from '../helpers/process-tree.ts';
import { Site } from '../helpers/site.ts';
import { connect, type Response } from '../helpers/wire.ts';

/** Connections that are open at the same time, so that several workers have some. */
const connections = 20;

/** Asks `each` times on each of `connections` connections, all at the same time. */
async function askMany(url: string, each: number, headers = {}): Promise<Response[]> {
  const wires = await Promise.all(Array.from({ length: connections }, () => connect(url)));
  const ask = async (wire: (typeof wires)[number]): Promise<Response[]> => {
    const answers: Response[] = [];
    for (let i = 0; i < each; i++) answers.push(await wire.ask('GET /', headers));
    return answers;
  };
  const answers = await Promise.all(wires.map(ask));
  for (const wire of wires) wire.close();
  return answers.flat();
}

async function ask(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  using wire = await connect(url);
  return await wire.ask('GET /', headers); // before it is closed
}

const allowed = (answers: readonly Response[]): number => answers.filter(({ status }) => status === 200).length;

testSomePlacements(units, '10 of 200 requests are allowed, over all workers', async ({ model, accept, args = [] }) => {
  const mode = accept ? ['--accept', accept] : [];
  await using site = await Site.start(model, [...args, ...mode, '--rate-limit', '1/d:burst=10', '--access-log', '-']);
  const answers = await askMany(site.server.url, 10);
  expect(answers.map(({ status }) => status).sort()).toEqual([...Array(10).fill(200), ...Array(190).fill(429)]);
  const isLine = ({ event }: { event?: unknown }) => event === 'request';
  await site.server.waitForMany('the access lines', isLine, 200);
  const lines = site.server.lines.filter(isLine);
  expect(lines.filter(({ status }) => status === 429).length).toBe(190);
  expect(new Set(lines.map(({ pid, tid }) => `${pid} ${tid}`)).size, 'workers').toBeGreaterThan(1);
});

describe.concurrent('in the long run', { tags: 'long' }, () => {
  test.each([
    ['prefork', ['--workers', '4']],
    ['prethread', ['--threads', '4']],
  ])('%s: 4 workers allow what comes back, and the burst', async (model, size) => {
    const [perSecond, burst] = [100, 500];
    await using site = await Site.start(model, [...size, '--rate-limit', `${perSecond}/s:burst=${burst}`]);
    const { url } = site.server;
    /** Asks until `isOver`. @returns how many were allowed, and when the last request was sent and answered */
    const run = async (isOver: (answer: Response, count: number) => boolean) => {
      using wire = await connect(url);
      for (let count = 0; ; ) {
        const sentAt = performance.now();
        const answer = await wire.ask('GET /');
        if (answer.status === 200) count++;
        if (isOver(answer, count)) return { count, sentAt, answeredAt: performance.now() };
      }
    };
    const cameBack = (ms: number): number => (ms / 1000) * perSecond;
    const began = performance.now();
    const first = await run(({ status }) => status === 429);
    expect(first.count).toBeGreaterThanOrEqual(burst);
    expect(first.count).toBeLessThanOrEqual(burst + cameBack(first.answeredAt - began));
    // The bucket is empty now, and again at the end; it is not full in between.
    const many = await Promise.all(Array.from({ length: 8 }, () => run((_, count) => count >= 25)));
    const last = await run(({ status }) => status === 429);
    const count = many.reduce((sum, one) => sum + one.count, last.count);
    expect(count).toBeGreaterThanOrEqual(200);
    expect(count).toBeGreaterThan(cameBack(last.sentAt - first.answeredAt) - 1);
    expect(count).toBeLessThan(cameBack(last.answeredAt - first.sentAt) + 1);
  });
});

describe.concurrent('buckets survive', () => {
  test.each([
    ['prefork', ['--workers', '2']],
    ['hybrid', ['--workers', '2', '--threads', '2']],
    ['ppc', []],
  ])('%s: a reload, the death of a worker and a switch of the model', async (model, size) => {
    await using site = await Site.start(model, [...size, '--rate-limit', '1/d:burst=50']);
    const { server } = site;
    expect(allowed(await askMany(server.url, 1))).toBe(20);
    expect(await site.ctl('reload')).toMatchObject({ code: 0 });
    expect((await ask(server.url)).headers.ratelimit).toMatch(/^"client";r=29;/);
    const [worker] = server.workers();
    if (worker !== undefined) {
      process.kill(worker, 'SIGKILL');
      await eventually('its end', () => !isAlive(worker));
    }
    expect((await ask(server.url)).headers.ratelimit).toMatch(/^"client";r=28;/);
    expect(await site.ctl('switch', '--model', model === 'hybrid' ? 'prefork' : 'prethread')).toMatchObject({
      code: 0,
    });
    expect(allowed(await askMany(server.url, 5))).toBe(28);
  });
});

test('a reload changes the limit, and turns it on and off', async () => {
  await using site = await Site.start('prefork', ['--workers', '2']);
  const { url } = site.server;
  const reload = async (config: object) => {
    site.configure(config);
    expect(await site.ctl('reload')).toMatchObject({ code: 0 });
  };
  expect((await ask(url)).headers.ratelimit).toBeUndefined();
  await reload({ rateLimit: '1/d:burst=2' });
  expect((await ask(url)).headers.ratelimit).toMatch(/^"client";r=1;/);
  await reload({ rateLimit: '1/h:burst=5' });
  expect((await ask(url)).headers.ratelimit).toMatch(/^"client";r=4;/);
  await reload({ rateLimit: 'off' });
  expect((await ask(url)).headers.ratelimit).toBeUndefined();
});

/** Sets RateLimit itself, in each way in which Node takes headers. */
const ownField = `module.exports = (req, res) => {
  const value = '"own";r=7';
  if (req.url === '/set') res.setHeader('RateLimit', value);
  if (req.url === '/object') res.writeHead(200, { RateLimit: value });
  if (req.url === '/list') res.writeHead(200, ['RateLimit', value]);
  res.end('x');
};`;

describePlacements(units, ({ model, accept, args: size = [] }) => {
  const args = [...size, ...(accept ? ['--accept', accept] : [])];

  test('the response says what is left, and when to try again', async () => {
    await using site = await Site.start(model, [...args, '--rate-limit', '1/h:burst=2']);
    using wire = await connect(site.server.url);
    const first = await wire.ask('GET /');
    expect(first).toMatchObject({ status: 200, headers: { ratelimit: '"client";r=1;t=3600' } });
    expect(first.headers).not.toHaveProperty('ratelimit-policy');
    await wire.ask('GET /');
    const refused = await wire.ask('GET /');
    expect(refused).toMatchObject({
      status: 429,
      reason: 'Too Many Requests',
      headers: { 'ratelimit-policy': '"client";q=1;w=3600;mpserve-burst=2', 'x-request-id': expect.any(String) },
    });
    expect(refused.headers.connection).not.toBe('close');
    const seconds = Number(refused.headers['retry-after']);
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThanOrEqual(3600);
    expect(refused.headers.ratelimit).toBe(`"client";r=0;t=${seconds}`);
  });

  test('after Retry-After a request is allowed', async () => {
    await using site = await Site.start(model, [...args, '--rate-limit', '1/s:burst=1']);
    const { url } = site.server;
    const refused = await eventually('a refusal', async () => {
      const answer = await ask(url);
      return answer.status === 429 && answer;
    });
    await new Promise((later) => setTimeout(later, Number(refused.headers['retry-after']) * 1000));
    expect((await ask(url)).status).toBe(200);
  });

  test("the app's own RateLimit stays", async () => {
    await using site = await Site.start(model, [...args, '--rate-limit', '1/d:burst=9'], {}, {}, undefined, ownField);
    using wire = await connect(site.server.url);
    for (const target of ['/set', '/object', '/list'])
      expect((await wire.ask(`GET ${target}`)).headers.ratelimit, target).toBe('"own";r=7');
    expect((await wire.ask('GET /none')).headers.ratelimit).toMatch(/^"client";r=5;/);
  });

  test('requests that are pipelined, of HTTP/1.0 or with a body are limited as well', async () => {
    await using site = await Site.start(model, [...args, '--rate-limit', '1/d:burst=3']);
    const { url } = site.server;
    using pipelined = await connect(url);
    await pipelined.write('GET / HTTP/1.1\r\nhost: test\r\n\r\n'.repeat(5));
    const statuses: number[] = [];
    for (let i = 0; i < 5; i++) statuses.push((await pipelined.response()).status);
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
    using old = await connect(url);
    await old.write('GET / HTTP/1.0\r\n\r\n');
    expect((await old.response()).status).toBe(429);
    using upload = await connect(url);
    await upload.write(`POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 1000000\r\n\r\n${'x'.repeat(1000)}`);
    expect(await upload.response()).toMatchObject({
      status: 429,
      headers: { connection: 'close', 'retry-after': expect.any(String), ratelimit: expect.stringMatching(/r=0/) },
    });
    await upload.rest(); // it is closed
  });

  test('the log names the client, once for many refusals, and no value of a header', async () => {
    const began = performance.now();
    await using site = await Site.start(model, [...args, '--rate-limit', '1/d by header:x-api-key']);
    const answers = await askMany(site.server.url, 5, { 'x-api-key': 'a secret\x9b31m' });
    expect(allowed(answers)).toBe(1);
    const isReport = ({ event }: { event?: unknown }) => event === 'rate-limited';
    // More than one if two event loops refuse at the same time.
    const first = await site.server.waitFor('the report', isReport);
    expect(first).toMatchObject({ level: 40, remote: '127.0.0.1' });
    expect(Number(first.count)).toBeGreaterThanOrEqual(1);
    expect(Number(first.count)).toBeLessThanOrEqual(answers.length - 1);
    const minutes = (performance.now() - began) / 60_000;
    expect(site.server.lines.filter(isReport).length).toBeLessThanOrEqual(1 + minutes);
    await site.server.stop();
    const counts = site.server.lines.filter(isReport).map(({ count }) => Number(count));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(answers.length - 1);
    expect(JSON.stringify(site.server.lines) + site.server.plain.join('')).not.toContain('secret');
  });
});

describe.concurrent('a client', () => {
  const start = (...args: string[]) => Site.start('prefork', ['--workers', '2', ...args]);

  test('is an IP address that a trusted proxy names, or an IPv6 network', async () => {
    await using site = await start('--rate-limit', '1/d', '--trust-proxy', 'loopback');
    const status = async (address: string) =>
      (await ask(site.server.url, { 'x-forwarded-for': `8.8.8.8, ${address}` })).status;
    expect(await status('203.0.113.1')).toBe(200);
    expect(await status('203.0.113.1')).toBe(429);
    expect(await status('::ffff:203.0.113.1')).toBe(429);
    expect(await status('203.0.113.2')).toBe(200);
    expect(await status('2001:db8:0:1::1')).toBe(200);
    expect(await status('2001:db8:0:1:ffff::2')).toBe(429);
    expect(await status('2001:db8:0:2::1')).toBe(200);
    expect((await ask(site.server.url)).status).toBe(200); // the proxy itself
  });

  test('cannot name itself without such a proxy', async () => {
    await using site = await start('--rate-limit', '1/d');
    expect((await ask(site.server.url, { 'x-forwarded-for': '203.0.113.1' })).status).toBe(200);
    expect((await ask(site.server.url, { 'x-forwarded-for': '203.0.113.2' })).status).toBe(429);
  });

  test('is named by the PROXY protocol', async () => {
    await using site = await start('--rate-limit', '1/d', '--trust-proxy', 'loopback', '--proxy-protocol');
    const status = async (address: string) => {
      using wire = await connect(site.server.url);
      await wire.write(`PROXY TCP4 ${address} 127.0.0.1 1000 80\r\nGET / HTTP/1.1\r\nhost: test\r\n\r\n`);
      return (await wire.response()).status;
    };
    expect(await status('203.0.113.1')).toBe(200);
    expect(await status('203.0.113.1')).toBe(429);
    expect(await status('203.0.113.2')).toBe(200);
  });

  test('is the value of a header, or else an IP address', async () => {
    await using site = await start('--rate-limit', '1/d by header:X-API-Key');
    const status = async (headers = {}) => (await ask(site.server.url, headers)).status;
    expect(await status({ 'x-api-key': 'one' })).toBe(200);
    expect(await status({ 'x-api-key': 'one' })).toBe(429);
    expect(await status({ 'x-api-key': 'two' })).toBe(200);
    expect(await status()).toBe(200);
    expect(await status()).toBe(429);
    expect(await status({ 'x-api-key': '' })).toBe(429);
    expect(await status({ 'x-api-key': '127.0.0.1' })).toBe(200);
  });

  test('is the Unix socket for all of its clients', async () => {
    await using site = await start('--rate-limit', '1/d', '--bind', 'unix:SOCKET');
    const url = site.server.urls.find((one) => one.startsWith('unix:')) ?? '';
    expect((await ask(url)).status).toBe(200);
    expect((await ask(url)).status).toBe(429);
    expect((await ask(site.server.url)).status).toBe(200);
  });
});

test("mpserve's own requests for --ready-path take no token, and those of clients do", async () => {
  const args = ['--workers', '2', '--rate-limit', '1/d:burst=3', '--ready-path', '/'];
  await using site = await Site.start('prefork', args);
  expect(await site.ctl('reload')).toMatchObject({ code: 0 });
  expect(allowed(await askMany(site.server.url, 1))).toBe(3);
});

const sockets = `const server = require('node:http').createServer((req, res) => res.end('plain'));
server.on('upgrade', (req, socket) => {
  socket.on('error', () => {}); // the client closes it
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nconnection: upgrade\\r\\nupgrade: x\\r\\n\\r\\n');
  socket.end('hello');
});
server.listen();`;

test('requests to switch to another protocol are limited, and their connections closed', async () => {
  const args = ['--workers', '2', '--rate-limit', '1/d:burst=2', '--access-log', '-'];
  await using site = await Site.start('prefork', args, {}, {}, undefined, sockets);
  const upgrade = async (): Promise<Response> => {
    using wire = await connect(site.server.url);
    const answer = await wire.ask('GET /socket', { connection: 'upgrade', upgrade: 'x' });
    if (answer.status !== 101) await wire.rest();
    return answer;
  };
  expect((await upgrade()).status).toBe(101);
  expect((await upgrade()).status).toBe(101);
  expect(await upgrade()).toMatchObject({
    status: 429,
    headers: {
      connection: 'close',
      'retry-after': expect.any(String),
      ratelimit: expect.stringMatching(/^"client";r=0;/),
      'ratelimit-policy': '"client";q=1;w=86400;mpserve-burst=2',
    },
  });
  expect((await ask(site.server.url)).status).toBe(429);
  const isLine = ({ event, url }: { event?: unknown; url?: unknown }) => event === 'request' && url === '/socket';
  await site.server.waitForMany('the access lines', isLine, 3);
  // Of two workers, in any order.
  expect(
    site.server.lines
      .filter(isLine)
      .map(({ status }) => status)
      .sort(),
  ).toEqual([101, 101, 429]);
});

test('a refusal looks the same, whether or not its connection has to be closed, and to HEAD it has no body', async () => {
  await using site = await Site.start(
    'prefork',
    ['--workers', '1', '--rate-limit', '1/d:burst=1'],
    {},
    {},
    undefined,
    sockets,
  );
  const { url } = site.server;
  await ask(url);
  const { headers } = await ask(url);
  const isOfConnection = (name: string): boolean => name === 'connection' || name === 'keep-alive';
  const wanted = Object.keys(headers).filter((name) => !isOfConnection(name));
  expect(wanted).toContain('date');
  for (const method of ['POST', 'HEAD']) {
    for (const fields of [{ 'content-length': '4' }, { connection: 'upgrade', upgrade: 'x' }]) {
      using wire = await connect(url);
      const refused = await wire.ask(`${method} /`, { ...fields });
      expect(refused).toMatchObject({ status: 429, headers: { connection: 'close' } });
      expect(Object.keys(refused.headers).filter((name) => !isOfConnection(name))).toEqual(wanted);
      expect(await wire.rest()).toHaveLength(0);
    }
  }
});

test('a client that asks first is told to send its body only if the request is allowed', async () => {
  await using site = await Site.start('prefork', ['--workers', '1', '--rate-limit', '1/d:burst=1']);
  const fields = { expect: '100-continue', 'content-length': '4' };
  using allowed = await connect(site.server.url);
  await allowed.request('POST /', fields);
  expect((await allowed.head()).status).toBe(100);
  await allowed.write('body');
  expect((await allowed.response()).status).toBe(200);
  using refused = await connect(site.server.url);
  await refused.request('POST /', fields);
  expect((await refused.head()).status).toBe(429);
});

/** Resident kilobytes of the mappings of shared memory that are as large as the table of buckets, or larger. */
function tableKilobytes(pid: number): number {
  const mappings = readFileSync(`/proc/${pid}/smaps`, 'utf8').split(/^(?=[\da-f]+-[\da-f]+ )/m);
  const sizeOf = (mapping: string, field: string) =>
    Number(new RegExp(`^${field}: +(\\d+) kB`, 'm').exec(mapping)?.[1]);
  const tables = mappings.filter((one) => one.includes('memfd:mpserve') && sizeOf(one, 'Size') >= 2048);
  return tables.reduce((sum, one) => sum + sizeOf(one, 'Rss'), 0);
}

test.runIf(process.platform === 'linux')(
  '30,000 spoofed addresses take no more memory than the table has',
  async () => {
    const args = ['--workers', '2', '--rate-limit', '1/d', '--trust-proxy', 'loopback'];
    await using site = await Site.start('prefork', args);
    const address = (n: number): string => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
    const request = (n: number): string => `GET / HTTP/1.1\r\nhost: test\r\nx-forwarded-for: ${address(n)}\r\n\r\n`;
    /** The statuses of a request of each address, pipelined. */
    const askAs = async (first: number, count: number): Promise<number[]> => {
      using wire = await connect(site.server.url);
      const statuses: number[] = [];
      for (let n = first; n < first + count; n += 100) {
        await wire.write(Array.from({ length: 100 }, (_, i) => request(n + i)).join(''));
        for (let i = 0; i < 100; i++) statuses.push((await wire.response()).status);
      }
      return statuses;
    };
    const parts = await Promise.all([0, 10_000, 20_000].map((first) => askAs(first, 10_000)));
    // Clients are told apart by 38 bits of a hash: in 1 of 600 runs two of them share a bucket.
    expect(parts.flat().filter((status) => status !== 200).length).toBeLessThanOrEqual(1);
    expect(new Set(await askAs(0, 1000))).toEqual(new Set([429]));
    for (const pid of site.server.workers()) {
      expect(tableKilobytes(pid)).toBeGreaterThan(0);
      expect(tableKilobytes(pid)).toBeLessThanOrEqual(2048 + 8);
    }
  },
);

test.runIf(process.platform === 'linux')('without the option there is no table', async () => {
  await using site = await Site.start('prefork', ['--workers', '1']);
  await ask(site.server.url);
  expect(site.server.workers().map(tableKilobytes)).toEqual([0]);
});
