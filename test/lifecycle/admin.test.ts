// The admin server: probes, pages, who may read them, and what it survives.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { launchServer, type Server, type ServerOptions, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-admin-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const token = '0123456789abcdef0123456789abcdef';
function tokenFile(text = `${token}\n`, mode = 0o600): string {
  const file = path.join(folder, `token-${Math.random()}`);
  writeFileSync(file, text, { mode });
  return file;
}

async function startWithAdmin(args: readonly string[] = [], options: ServerOptions = {}): Promise<[Server, string]> {
  const server = await startServer({ ...options, args: ['--admin', '0', ...args] });
  const { url } = await server.waitFor('the admin server', ({ event }) => event === 'admin-ready');
  return [server, String(url)];
}

interface Got {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

function get(url: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): Promise<Got> {
  return new Promise((resolve, reject) => {
    request(url, { headers, method, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    })
      .on('error', reject)
      .end();
  });
}

test('its pages', async () => {
  const [server, url] = await startWithAdmin(['--workers', '2']);
  await using _ = server;
  expect(await get(`${url}/livez`)).toMatchObject({ status: 200, text: 'ok\n' });
  expect(await get(`${url}/readyz?verbose`)).toMatchObject({ status: 200, text: 'ok\n' });
  expect(JSON.parse((await get(`${url}/status`)).text)).toMatchObject({ state: 'serving', workers: { wanted: 2 } });
  expect(JSON.parse((await get(`${url}/workers`)).text)).toHaveLength(2);
  expect(await get(`${url}/nothing`)).toMatchObject({ status: 404, text: expect.stringContaining('/metrics') });
  expect(await get(`${url}/__proto__`)).toMatchObject({ status: 404 });
  expect(await get(`${url}/status`, {}, 'POST')).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
  expect(await get(`${url}/livez`, {}, 'HEAD')).toMatchObject({ status: 200, text: '' });
});

test('metrics in both formats, without anything that a client has chosen', async () => {
  const [server, url] = await startWithAdmin();
  await using _ = server;
  using wire = await connect(server.url);
  await wire.ask('PROPFIND /evil{}"', { 'user-agent': 'evil"' });
  const { text, headers } = await get(`${url}/metrics`);
  expect(headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
  expect(text).toMatch(/^# TYPE mpserve_requests_total counter$/m);
  expect(text).toMatch(/^mpserve_requests_total\{method="other",class="\dxx"\} 1$/m);
  expect(text).not.toMatch(/evil|PROPFIND/);
  const open = await get(`${url}/metrics`, { accept: 'application/openmetrics-text; version=1.0.0' });
  expect(open.headers['content-type']).toMatch(/^application\/openmetrics-text/);
  expect(open.text).toMatch(/^# TYPE mpserve_requests counter$/m);
  expect(open.text).toMatch(/^mpserve_requests_total\{method="other"/m);
  expect(open.text).toMatch(/\n# EOF\n$/);
});

test('a name that leads here is refused, an address is not', async () => {
  const [server, url] = await startWithAdmin();
  await using _ = server;
  const { port } = new URL(url);
  for (const host of ['evil.example', `evil.example:${port}`, 'localhost.evil'])
    expect(await get(`${url}/status`, { host })).toMatchObject({ status: 403 });
  for (const host of ['localhost', `localhost:${port}`, '[::1]:1', '127.0.0.1'])
    expect(await get(`${url}/status`, { host })).toMatchObject({ status: 200 });
});

test('with a token, only probes are for everyone, and a guesser has to wait', async () => {
  const [server, url] = await startWithAdmin(['--admin-token-file', tokenFile()]);
  await using _ = server;
  const ask = (authorization?: string) => get(`${url}/status`, authorization ? { authorization } : {});
  expect(await ask(`Bearer ${token}`)).toMatchObject({ status: 200 });
  expect(await ask()).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer' } });
  expect((await get(`${url}/livez`)).status).toBe(200);
  const guesses = await Promise.all(Array.from({ length: 80 }, (_, i) => ask(`Bearer ${token.slice(1)}${i}`)));
  expect(new Set(guesses.map(({ status }) => status))).toEqual(new Set([401, 429]));
  expect(await ask(`Bearer ${token}`)).toMatchObject({ status: 200 });
  const line = await server.waitFor('the line', ({ event }) => event === 'admin-refused');
  expect(line).toMatchObject({ count: 1, address: '127.0.0.1' });
});

describe('a start that cannot be', () => {
  const failing = async (args: readonly string[]) => {
    const server = launchServer({ args });
    const { code } = await server.exit;
    return { code, stderr: server.stderr };
  };
  test('the port is in use', async () => {
    const holder = net.createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as net.AddressInfo;
    const { code, stderr } = await failing(['--admin', String(port)]);
    holder.close();
    expect(code).toBe(3);
    expect(stderr).toMatch(
      new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port} \\(from --admin\\): the port is in use`),
    );
  });
  test.each<[string, () => string, RegExp]>([
    ['is missing', () => path.join(folder, 'gone'), /no such file/i],
    ['can be read by all', () => tokenFile(token, 0o644), /every user of this machine can read it; chmod 600 it/],
    ['is short', () => tokenFile('short'), /a token has at least 16 characters/],
    ['is long', () => tokenFile('x'.repeat(5000)), /longer than 4096 bytes/],
  ])('the token file %s', async (_, file, message) => {
    const { code, stderr } = await failing(['--admin', '0', '--admin-token-file', file()]);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });
});

test('1,000 scrapers at once, while all workers are blocked', async () => {
  const app = path.join(folder, 'blocked.cjs');
  writeFileSync(
    app,
    `module.exports = (req, res) => {
      if (req.url === '/block') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600_000);
      res.end();
    };`,
  );
  const [server, url] = await startWithAdmin(['--workers', '1', '--hang-timeout', '0'], { app });
  try {
    using wire = await connect(server.url);
    await wire.write('GET /block HTTP/1.1\r\nhost: a\r\n\r\n');
    const all = await Promise.all(Array.from({ length: 1000 }, () => get(`${url}/metrics`)));
    expect(new Set(all.map(({ status }) => status))).toEqual(new Set([200]));
  } finally {
    await server.kill();
  }
});

describe('--stop-delay', () => {
  test('after SIGTERM it serves on, and /readyz says that it stops, until a second signal', async () => {
    const [server, url] = await startWithAdmin(['--stop-delay', '10m']);
    try {
      server.child.kill('SIGTERM');
      await server.waitFor('the delay', ({ event }) => event === 'stop-delayed');
      expect(await get(`${url}/readyz`)).toMatchObject({ status: 503, text: 'stopping\n' });
      expect((await get(`${url}/livez`)).status).toBe(200);
      using wire = await connect(server.url);
      expect((await wire.ask('GET /', { connection: 'close' })).status).toBe(200);
      await server.stop();
      expect(server.lines.filter(({ event }) => event === 'stopping')).toHaveLength(1);
    } finally {
      await server.kill();
    }
  });

  test('ends by itself', async () => {
    const [server] = await startWithAdmin(['--stop-delay', '300ms']);
    try {
      server.child.kill('SIGTERM');
      expect(await server.exit).toMatchObject({ code: 0 });
      await eventually('its processes to be gone', () => server.noneLeft().then(() => true));
    } finally {
      await server.kill();
    }
  });
});
