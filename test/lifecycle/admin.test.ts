// The admin server: probes, pages, who may read them, and what it survives.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WorkerStatus } from '../../src/control/protocol.ts';
import type { LoopView } from '../../src/scoreboard/loop-view.ts';
import { eventually } from '../helpers/eventually.ts';
import { repeating } from '../helpers/placements.ts';
import { parseSamples } from '../helpers/samples.ts';
import { launchServer, runCli, type Server, type ServerOptions, startServer } from '../helpers/server.ts';
import { connect, type Wire } from '../helpers/wire.ts';

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
    await server.noneLeft();
    return { code, stderr: server.stderr };
  };
  const inUse = (port: number | string): RegExp =>
    new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port} \\(from --admin\\): the port is in use`);

  test('the port is in use', async () => {
    const holder = net.createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as net.AddressInfo;
    const { code, stderr } = await failing(['--admin', String(port)]);
    holder.close();
    expect(code).toBe(3);
    expect(stderr).toMatch(inUse(port));
  });
  test('another server has the port, for its admin server or for its clients', async () => {
    const [server, url] = await startWithAdmin();
    await using _ = server;
    for (const { port } of [new URL(url), new URL(server.url)]) {
      const { code, stderr } = await failing(['--admin', port]);
      expect(code).toBe(3);
      expect(stderr).toMatch(inUse(port));
    }
    expect((await get(`${url}/readyz`)).status).toBe(200);
  });
  test('another server has the path', async () => {
    const socket = path.join(folder, 'admin.sock');
    await using server = await startServer({ args: ['--admin', `unix:${socket}`] });
    await server.waitFor('the admin server', ({ event }) => event === 'admin-ready');
    const { code, stderr } = await failing(['--admin', `unix:${socket}`]);
    expect(code).toBe(3);
    expect(stderr).toContain(`cannot listen on unix:${socket} (from --admin)`);
  });
  test.each(['0.0.0.0:0', '[::]:0', '192.0.2.1:9090'])(
    '%s is for other machines, and there is no token',
    async (bind) => {
      const { code, stderr } = await failing(['--admin', bind]);
      expect(code).toBe(2);
      expect(stderr).toMatch(/--admin would show the server to other machines: give --admin-token-file as well/);
    },
  );
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

/** What blocks the event loop of its process or thread for good. */
const blockedApp = `module.exports = (req, res) => {
  if (req.url === '/block') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600_000);
  res.end();
};`;

describe('while all workers are blocked', () => {
  const models = [
    ['prefork', '--workers'],
    ['prethread', '--threads'],
  ] as const;
  for (const one of models)
    test(`${one[0]}: 1,000 scrapers at once, and each page within a second`, repeating(one, models), async () => {
      const [model, size] = one;
      const app = path.join(folder, `blocked-${model}.cjs`);
      writeFileSync(app, blockedApp);
      const [server, url] = await startWithAdmin([size, '2', '--hang-timeout', '0'], { app, model });
      const wires: Wire[] = [];
      try {
        const views = async (): Promise<LoopView[]> =>
          JSON.parse((await get(`${url}/workers`)).text).flatMap(({ loops }: WorkerStatus) => loops);
        const isBlocked = ({ state }: LoopView): boolean => state === 'blocked';
        await views(); // so that something is known of each
        await eventually('all to be blocked', async () => {
          const wire = await connect(server.url);
          wires.push(wire);
          await wire.request('GET /block');
          return (await views()).every(isBlocked);
        });
        const known = await views();
        expect(known).toHaveLength(2);
        for (const { staleMs, inFlight, oldest, heapBytes } of known) {
          expect(staleMs).toBeGreaterThan(0);
          expect(inFlight).toBeGreaterThan(0);
          expect(oldest[0]).toMatchObject({ method: 'GET', url: '/block' });
          expect(heapBytes).toBeGreaterThan(1e6);
        }
        for (const page of ['/metrics', '/workers', '/status', '/readyz'])
          await eventually(`${page} within a second`, async () => {
            const since = performance.now();
            expect((await get(`${url}${page}`)).status).toBe(200);
            return performance.now() - since < 1000;
          });
        const all = await Promise.all(Array.from({ length: 1000 }, () => get(`${url}/metrics`)));
        expect(new Set(all.map(({ status }) => status))).toEqual(new Set([200]));
        const stale = [...parseSamples(all[0]?.text ?? '')].filter(([name]) => /^mpserve_event_loop_stale/.test(name));
        expect(stale).toHaveLength(2);
        for (const [, age] of stale) expect(age).toBeGreaterThan(0);
      } finally {
        for (const wire of wires) wire.close();
        await server.kill();
      }
    });
});

describe('hostile requests', () => {
  let server: Server;
  let url: string;
  beforeAll(async () => {
    [server, url] = await startWithAdmin(['--workers', '1']);
  });
  afterAll(() => server.stop());

  /** As it is, and what comes back until the connection ends. */
  const raw = async (request: string): Promise<string> => {
    using wire = await connect(url);
    await wire.write(request);
    return (await wire.rest()).toString('latin1');
  };
  const close = 'host: localhost\r\nconnection: close\r\n\r\n';

  test.each<[string, string, number]>([
    ['a path that leads out', `GET /../../etc/passwd HTTP/1.1\r\n${close}`, 404],
    ['an encoded one', `GET /%2e%2e%2f%00 HTTP/1.1\r\n${close}`, 404],
    ['a name that all objects have', `GET /constructor HTTP/1.1\r\n${close}`, 404],
    ['bytes that are no ASCII', `GET /\x9b2J\xff HTTP/1.1\r\n${close}`, 400],
    ['another host in the target', `GET http://evil.example/status HTTP/1.1\r\n${close}`, 404],
    ['two slashes', `GET //status HTTP/1.1\r\n${close}`, 404],
    ['no path', `OPTIONS * HTTP/1.1\r\n${close}`, 405],
    ['a tunnel', 'CONNECT evil.example:443 HTTP/1.1\r\nhost: localhost\r\n\r\n', 0],
    ['a format that there is not', `GET /status?format=\x1b[2J HTTP/1.1\r\n${close}`, 400],
    ['another query', `GET /status?format=%1b[2J HTTP/1.1\r\n${close}`, 400],
    ['two lengths', `POST /reload HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n${close}`, 400],
    [
      'a length and chunks',
      `POST /reload HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n${close}`,
      400,
    ],
    ['a control character in a header', `GET /status HTTP/1.1\r\nx: \x00\r\n${close}`, 400],
    ['a head that is too long', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\n${close}`, 431],
    ['two hosts', `GET /status HTTP/1.1\r\nhost: evil.example\r\n${close}`, 403],
    ['no HTTP', 'hello\r\n\r\n', 400],
  ])('%s: the admin server answers it, or ends the connection, and lives', async (_, request, status) => {
    const answer = await raw(request);
    expect(Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0)).toBe(status);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not come back
    expect(answer).not.toMatch(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/);
    expect((await get(`${url}/readyz`)).status).toBe(200);
    expect(server.child.exitCode).toBeNull();
  });

  test('what clients of the app send is escaped in texts, and no label of a metric', async () => {
    const app = path.join(folder, 'holding.cjs');
    writeFileSync(app, 'module.exports = () => {};');
    const control = path.join(folder, 'texts.ctl');
    const [server, url] = await startWithAdmin(['--workers', '1', '--control', control], { app });
    try {
      using wire = await connect(server.url);
      // The parser of Node accepts such bytes in headers only.
      const headers = { 'user-agent': '\x9b2J', 'x-request-id': 'a\x9b2J', referer: '\x9d0;gone\x9c' };
      await wire.request('GET /%1b[2J?"<b>{}', headers);
      const inFlight = async () => JSON.parse((await get(`${url}/workers`)).text)[0].loops[0].inFlight;
      await eventually('the request', async () => (await inFlight()) === 1);
      const texts = [
        (await get(`${url}/metrics`)).text,
        (await get(`${url}/workers?format=text`)).text,
        (await get(`${url}/status?format=text`)).text,
        (await runCli(['ctl', 'stacks', '--control', control])).stdout,
        (await runCli(['ctl', 'workers', '--control', control])).stdout,
      ];
      // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal obeys these
      for (const text of texts) expect(text).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
      expect(texts[0]).not.toContain('2J');
      expect(texts[3]).toContain('GET /%1b[2J?"<b>{}');
    } finally {
      await server.kill();
    }
  });
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
