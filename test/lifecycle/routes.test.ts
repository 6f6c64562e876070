// Routes: requests that have workers of their own.
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { eventually } from '../helpers/eventually.ts';
import { losesNone } from '../helpers/lossless.ts';
import { isAlive } from '../helpers/process-tree.ts';
import { fixture, type Server, startServer } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';
import { connect, type Response } from '../helpers/wire.ts';

type Route = { readonly match: string } & Readonly<Record<string, unknown>>;

const three: readonly Route[] = [
  { match: '/pdf/*', model: 'prethread', unit: 'request', threads: 2 },
  { match: '/upload/*', model: 'ppc' },
  { match: '*', workers: 2 },
];

const withRoutes = (routes: readonly Route[], ...args: readonly string[]): readonly string[] => [
  '--workers',
  '1',
  '--routes',
  JSON.stringify(routes),
  ...args,
];

const start = (routes: readonly Route[], ...args: readonly string[]): Promise<Server> =>
  startServer({ app: fixture('routes.cjs'), args: withRoutes(routes, ...args) });

const workerOf = ({ headers }: Response): string => headers['x-worker'] ?? '';
const pidOf = (response: Response): number => Number.parseInt(workerOf(response), 10);

/** Those of Unix sockets that this process listens on. */
function socketFiles(pid: number): string[] {
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return ''; // it has been closed meanwhile
    }
  });
  const lines = readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .map((line) => line.split(' ').filter((word) => word !== ''));
  return lines.flatMap((words) => {
    const file = words[7] ?? '';
    return links.includes(`socket:[${words[6]}]`) && file.includes('/mpserve-') && existsSync(file) ? [file] : [];
  });
}

describe.concurrent('a server with routes', () => {
  test('gives requests of one connection to the workers of their routes, and logs which', async () => {
    await using server = await start(three, '--access-log', '-');
    using wire = await connect(server.url);
    const pdf = await wire.ask('GET /pdf/a');
    const upload = await wire.ask('POST /upload/a', {}, 'body');
    const other = await wire.ask('GET /');
    const again = await wire.ask('GET /pdf/b');
    expect([pdf, upload, other, again].map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(workerOf(pdf)).toMatch(/\.[1-9]/); // a thread
    expect(workerOf(upload)).toMatch(/\.0$/);
    expect(pidOf(again)).toBe(pidOf(pdf));
    expect(new Set([pdf, upload, other].map(pidOf)).size).toBe(3);
    for (const [route, url, response] of [
      ['/pdf/*', '/pdf/a', pdf],
      ['/upload/*', '/upload/a', upload],
      ['*', '/', other],
    ] as const) {
      const line = await server.waitFor('the access line', (one) => one.event === 'request' && one.url === url);
      expect(line).toMatchObject({ route, status: 200, reqId: response.headers['x-request-id'] });
      expect(`${line.pid}.${line.tid}`).toBe(workerOf(response));
    }
  });

  test('has the app see each request as its client has sent it', async () => {
    await using server = await start([{ match: '*' }]);
    using wire = await connect(server.url);
    await wire.write('GET /a?b HTTP/1.0\r\nX-B: 1\r\nx-a: 2\r\nConnection: keep-alive\r\nX-Request-Id: mine\r\n\r\n');
    const response = await wire.response();
    const { rawHeaders, ...rest } = JSON.parse(response.body);
    expect(rawHeaders).toEqual(['X-B', '1', 'x-a', '2', 'Connection', 'keep-alive', 'X-Request-Id', 'mine']);
    const { localPort: remotePort } = wire.socket;
    expect(rest).toEqual({ method: 'GET', url: '/a?b', httpVersion: '1.0', remoteAddress: '127.0.0.1', remotePort });
    expect(response.headers).toMatchObject({ 'x-request-id': 'mine', connection: 'keep-alive' });
    expect(Object.keys(response.headers).filter((name) => name.startsWith('mpserve'))).toEqual([]);
  });

  test('takes no field of a client for its own', async () => {
    await using server = await start([{ match: '*' }], '--access-log', '-');
    using wire = await connect(server.url);
    const { body } = await wire.ask('GET /', { 'mpserve-request': '0 forged', 'x-request-id': 'mine' });
    expect(JSON.parse(body)).toMatchObject({
      httpVersion: '1.1',
      rawHeaders: expect.arrayContaining(['forged'].map(() => '0 forged')),
    });
    await server.waitFor('the access line', ({ reqId }) => reqId === 'mine');
  });

  test('loses in a crash of a route only its own requests', async () => {
    await using server = await start(three);
    const others = new Clients(server.url, 3, 'kept-alive', '/');
    const pdfs = new Clients(server.url, 2, 'kept-alive', '/pdf/a');
    await eventually('answers', () => others.done > 5 && pdfs.done > 5);
    using wire = await connect(server.url);
    for (let i = 0; i < 5; i++) {
      const { status } = await wire.ask(`GET /upload/crash?${i}`);
      expect(status).toBe(502);
      expect((await wire.ask('GET /upload/a')).status).toBe(200); // on the same connection
    }
    for (const clients of [others, pdfs]) {
      const { failures, reconnects } = await clients.stop();
      expect({ failures, reconnects }).toEqual({ failures: [], reconnects: 0 });
    }
    expect(server.lines.filter(({ event }) => event === 'worker-died')).toHaveLength(5);
    expect(server.lines.find(({ event }) => event === 'worker-died')).toMatchObject({ route: '/upload/*' });
  });

  test('goes on elsewhere while a route hangs, and ends what hangs', async () => {
    await using server = await start([{ match: '/slow/*', hangTimeout: '300ms' }, { match: '*' }]);
    using hung = await connect(server.url);
    const answer = hung.ask('GET /slow/hang');
    using wire = await connect(server.url);
    for (let i = 0; i < 20; i++) expect((await wire.ask('GET /')).status).toBe(200);
    expect((await answer).status).toBe(502);
    await eventually('another worker', async () => (await wire.ask('GET /slow/a')).status === 200);
  });

  for (const [count, tags] of [
    [2, []],
    [20, ['long']],
  ] as const) {
    test(`recycles ${count} workers of a route that leak, and loses nothing`, { tags: [...tags] }, async () => {
      const leaking = { match: '/pdf/*', workers: 2, maxMemory: '120M', gracefulTimeout: '10s' };
      await using server = await start([leaking, { match: '*', workers: 1 }]);
      const others = new Clients(server.url, 2, 'kept-alive', '/');
      const leaks = new Clients(server.url, 2, 'kept-alive', '/pdf/leak?bytes=4000000');
      await server.waitForMany(
        'workers to be recycled',
        ({ event, route }) => event === 'worker-recycled' && route === '/pdf/*',
        count,
      );
      for (const clients of [others, leaks]) {
        const { failures, reconnects } = await clients.stop();
        expect({ failures, reconnects }).toEqual({ failures: [], reconnects: 0 });
      }
    });
  }

  test('has a queue for each route', async () => {
    const small = { match: '/pdf/*', workers: 1, maxInflight: 1, queueMax: 1, queueTimeout: '30s' };
    await using server = await start([small, { match: '*' }], '--admin', '127.0.0.1:0');
    const { url } = await server.waitFor('the admin address', ({ event }) => event === 'admin-ready');
    const wires = await Promise.all(Array.from({ length: 3 }, () => connect(server.url)));
    try {
      const waits = wires.map((wire) => wire.ask('GET /pdf/wait?ms=500'));
      const statuses = (await Promise.all(waits)).map(({ status }) => status).sort();
      expect(statuses).toEqual([200, 200, 503]);
      expect((await (wires[0] as (typeof wires)[0]).ask('GET /')).status).toBe(200);
    } finally {
      for (const wire of wires) wire.close();
    }
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain('mpserve_route_requests_refused_total{route="/pdf/*",reason="queue-full"} 1\n');
    expect(metrics).toContain('mpserve_route_requests_total{route="/pdf/*",class="2xx"} 2\n');
    expect(metrics).toContain('mpserve_route_requests_total{route="*",class="2xx"} 1\n');
    // Once each, at the connections of their clients.
    expect(metrics).toContain('mpserve_requests_total{method="GET",class="2xx"} 3\n');
    expect(metrics).toContain('mpserve_requests_total{method="GET",class="5xx"} 1\n');
    expect(metrics).toMatch(/mpserve_worker_memory_bytes\{worker="1",route="\/pdf\/\*"\} \d+\n/);
  });

  test('ends the request of a client that has gone', async () => {
    await using server = await start([{ match: '*' }]);
    const wire = await connect(server.url);
    await wire.request('GET /gone');
    await server.waitFor('the request', ({ seen }) => seen === 'waiting');
    wire.close();
    await server.waitFor('its end', ({ seen }) => seen === 'gone');
  });

  test('lets only its workers reach those of a route, and leaves no file', async () => {
    await using server = await start(three);
    const files = socketFiles(server.pid);
    expect(files).toHaveLength(3);
    const folder = path.dirname(files[0] as string);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const file of files) expect(statSync(file).mode & 0o777).toBe(0o600);
    await server.stop();
    expect(existsSync(folder)).toBe(false);
  });

  test('passes on what an app sends, however large its head, and answers in place of what is no HTTP', async () => {
    await using server = await start([{ match: '*' }]);
    using wire = await connect(server.url);
    const large = await wire.ask('GET /large-head');
    expect(large.headers['x-large']).toHaveLength(40_000);
    expect((await wire.ask('GET /garbage')).status).toBe(502);
    expect((await wire.ask('GET /bad-reason')).status).toBe(502);
    expect((await wire.ask('GET /')).status).toBe(200);
  });

  test('closes a connection to workers on which its client asks for nothing', async () => {
    await using server = await start(three, '--keep-alive-timeout', '1s');
    using wire = await connect(server.url);
    const { headers } = await wire.ask('GET /upload/a');
    const pid = Number.parseInt(headers['x-worker'] ?? '', 10);
    await eventually('the process of the client to exit', async () => {
      expect((await wire.ask('GET /')).status).toBe(200);
      return !isAlive(pid);
    });
  });

  test('shows its routes to operators', async () => {
    const args = withRoutes([
      { match: '/pdf/*', model: 'prethread', threads: 2 },
      { match: '*', workers: 2 },
    ]);
    await using site = await Site.start('prefork', args);
    const { json } = await site.ask('GET', '/status');
    expect(json).toMatchObject({
      model: 'prefork',
      workers: { wanted: 1, ready: 1 },
      routes: [
        { match: '/pdf/*', model: 'prethread', state: 'serving', workers: { wanted: 1, ready: 1 }, threads: 2 },
        { match: '*', model: 'prefork', state: 'serving', workers: { wanted: 2, ready: 2 }, threads: 1 },
      ],
    });
    const { stdout } = await site.ctl('status');
    expect(stdout).toMatch(/^route \/pdf\/\* +serving, prethread, 1 worker\(s\), all ready, 2 thread\(s\) each/m);
    const workers = (await site.ctl('workers')).stdout.split('\n').map((line) => line.split(/ +/).slice(0, 2));
    expect(workers).toEqual(
      expect.arrayContaining([
        ['worker', 'route'],
        ['1', '–'],
        ['1', '/pdf/*'],
        ['2', '*'],
      ]),
    );
    expect((await site.ctl('config')).stdout).toMatch(
      /^routes +\{"match":"\/pdf\/\*","model":"prethread","threads":2\} \{/m,
    );
    const refused = await site.ask('POST', '/switch', JSON.stringify({ options: { workers: '2' } }));
    expect(refused.json).toMatchObject({ ok: false, error: expect.stringContaining('mpserve ctl upgrade') });
  });
});

const answeringApp = (text: string): string => `module.exports = (_req, res) => res.end('${text}');`;
const targets = ['/', '/pdf/a', '/threads/a'];
const kinds = [
  { match: '/pdf/*', model: 'prethread', unit: 'request', threads: 2 },
  { match: '/threads/*', model: 'prethread', threads: 2 },
  { match: '*', workers: 2 },
];

describe('with routes', () => {
  test('a reload loses no request of any, and all have the new code', async () => {
    await using site = await Site.start('prefork', withRoutes(kinds));
    await losesNone(
      site.server,
      async () => {
        site.write(answeringApp('second'));
        expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200, json: { ok: true } });
      },
      targets,
    );
    using wire = await connect(site.server.url);
    for (const target of targets) expect((await wire.ask(`GET ${target}`)).body).toBe('second');
  });

  test('a reload that fails in one leaves all as they are', async () => {
    await using site = await Site.start('prefork', withRoutes(kinds));
    await losesNone(
      site.server,
      async () => {
        site.write(`require('node:worker_threads').threadId > 0 && process.exit(1); ${answeringApp('second')}`);
        expect((await site.ask('POST', '/reload')).json).toMatchObject({ ok: false });
      },
      targets,
    );
    using wire = await connect(site.server.url);
    for (const target of targets) expect((await wire.ask(`GET ${target}`)).body).toBe('first');
  });

  test('an upgrade loses no request of any', { tags: ['long'] }, async () => {
    const site = await Site.start('prefork', withRoutes(kinds));
    try {
      await losesNone(
        site.server,
        async () => {
          const { json: before } = await site.ask('GET', '/status');
          expect(await site.ask('POST', '/upgrade')).toMatchObject({ status: 200, json: { ok: true } });
          await eventually('the old server to exit', () => !isAlive(before.pid));
        },
        targets,
      );
      const { json } = await site.ask('GET', '/status');
      expect(json.routes).toHaveLength(3);
      process.kill(json.pid, 'SIGTERM');
      await eventually('the successor to exit', () => !isAlive(json.pid));
    } finally {
      await site.remove();
    }
  });
});
