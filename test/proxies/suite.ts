// What must work behind each proxy, with the configuration of its guide in docs/deploy. The proxy, its configuration and its
// guide are the caller's.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { Clients } from '../helpers/clients.ts';
import { progress } from '../helpers/eventually.ts';
import type { Program } from '../helpers/programs.ts';
import { repetitions } from '../helpers/repetitions.ts';
import { scrape } from '../helpers/samples.ts';
import { fixture } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';
import { connect, Wire } from '../helpers/wire.ts';

/** A proxy that runs, in front of one site. */
export interface Proxy extends AsyncDisposable {
  readonly url: string;
  /** Failures between it and the server, in its words, also those that its clients did not notice. */
  hidden(): Promise<readonly string[]>;
}

/** Of the server that it is to stand in front of. */
export interface Upstream {
  readonly site: Site;
  /** `host:port`, or the path of a Unix socket. */
  readonly address: string;
  /** Of its admin server. */
  readonly adminPort: string;
}

export type StartProxy = (program: Program, upstream: Upstream) => Promise<Proxy>;

const MiB = 1024 * 1024;
const reloads = repetitions({ few: 5, all: 50 });
const requestsPerReload = 800;

export function servesBehind(name: string, program: Program | undefined, start: StartProxy): void {
  describe.runIf(program)(`behind ${name}`, { tags: 'long' }, () => {
    let site: Site;
    let proxy: Proxy;
    beforeAll(async () => {
      site = await startSite([]);
      proxy = await startBefore(site);
    });
    afterAll(async () => {
      await proxy?.[Symbol.asyncDispose]();
      await site?.[Symbol.asyncDispose]();
    });

    const startBefore = async (server: Site): Promise<Proxy> => {
      const { url } = await server.server.waitFor('the admin server', ({ event }) => event === 'admin-ready');
      const address = server.server.url.replace(/^http:\/\/|^unix:/, '');
      return start(program as Program, { site: server, address, adminPort: new URL(String(url)).port });
    };
    const accepted = async () => (await scrape(site)).get('mpserve_connections_accepted_total') ?? 0;

    test('many clients share few connections to the server', async () => {
      const before = await accepted();
      for (let i = 0; i < 100; i++) {
        using wire = await connect(proxy.url);
        expect((await wire.ask('GET /', { connection: 'close' })).status).toBe(200);
      }
      // Health checks go to the admin server. Each process of a proxy has connections of its own.
      expect((await accepted()) - before).toBeLessThanOrEqual(10);
    });

    test('the access log has the client, the app what the proxy says', async () => {
      const { hostname: host, port } = new URL(proxy.url);
      using wire = new Wire(net.connect({ host, port: Number(port), localAddress: '127.0.0.9' }));
      const { body } = await wire.ask('GET /who');
      expect(JSON.parse(body)).toMatchObject({ client: '127.0.0.9', protocol: 'http' });
      const line = await site.server.waitFor(
        'the access line',
        ({ event, url }) => event === 'request' && url === '/who',
      );
      expect(line.remote).toBe('127.0.0.9');
    });

    test('the server may listen on a Unix socket', async () => {
      await using other = await startSite(['--bind', 'unix:SOCKET', '--socket-mode', '666'], []);
      await using before = await startBefore(other);
      using wire = await connect(before.url);
      expect((await wire.ask('GET /')).body).toBe('hello\n');
    });

    test('a WebSocket echoes', async () => {
      const socket = new WebSocket(`${proxy.url.replace('http', 'ws')}/ws`);
      await once(socket, 'open');
      for (const text of ['one', 'x'.repeat(100_000)]) {
        const reply = once(socket, 'message');
        socket.send(text);
        expect(String((await reply)[0])).toBe(text);
      }
      socket.close(1000);
      expect((await once(socket, 'close'))[0]).toBe(1000);
    });

    test('events arrive one by one', async () => {
      using stream = await connect(proxy.url);
      await stream.request('GET /events');
      const { headers } = await stream.head();
      expect(headers['content-type']).toBe('text/event-stream');
      let text = '';
      const arrives = async (event: string) => {
        while (!text.endsWith(`data: ${event}\n\n`)) text += (await stream.chunk()).toString();
      };
      await arrives('hello');
      using teller = await connect(proxy.url);
      for (const event of ['first', 'second', 'third']) {
        expect((await teller.ask('POST /tell', {}, event)).body).toBe('1\n');
        await arrives(event);
      }
    });

    test('bodies of 64 MiB are whole both ways, and the server does not keep them in memory', async () => {
      const [{ pid }] = (await site.ask('GET', '/workers')).json;
      const before = peakMemory(pid);
      await Promise.all([upload(proxy.url), download(proxy.url)]);
      // Of 128 MiB. Pieces that V8 has not yet collected take 40 MiB, with Node 26 up to 80 MiB.
      expect(peakMemory(pid) - before).toBeLessThan(96 * MiB);
    });

    test('no client notices reloads', async () => {
      const clients = [
        new Clients(proxy.url, 5, 'kept-alive'),
        new Clients(proxy.url, 5, 'kept-alive', '/', [200], 'posted'), // which no proxy repeats
        new Clients(proxy.url, 2, 'one-each'),
      ];
      expect(await site.ask('POST', '/scale', '{"workers":"2"}')).toMatchObject({ status: 200 });
      const before = await proxy.hidden(); // the streams of tests that have ended
      const done = () => clients.reduce((sum, one) => sum + one.done, 0);
      for (let reload = 1; reload <= reloads; reload++) {
        await progress('answers', done, reload * requestsPerReload);
        expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
      }
      await progress('answers', done, (reloads + 1) * requestsPerReload);
      const counts = await Promise.all(clients.map((one) => one.stop()));
      for (const { failures, reconnects } of counts)
        expect({ failures, reconnects }).toEqual({ failures: [], reconnects: 0 });
      expect(clients.map(({ heard }) => [...heard])).toEqual([['hello\n'], ['posted'], ['hello\n']]);
      expect(await proxy.hidden()).toEqual(before);
    });
  });
}

// As the guides start it. One worker, so that a test finds the streams that it has opened.
function startSite(args: readonly string[], bind?: readonly string[]): Promise<Site> {
  const all = ['--workers', '1', '--keep-alive-timeout', '75s', '--trust-proxy', 'loopback', '--access-log', '-'];
  // Outside of this folder the app finds no packages.
  const ws = JSON.stringify(fileURLToPath(import.meta.resolve('ws')));
  const code = readFileSync(fixture('guide.cjs'), 'utf8').replace("'ws'", ws);
  return Site.start('prefork', [...all, '--admin', '127.0.0.1:0', ...args], {}, {}, undefined, code, bind);
}

/** The most memory that the process has had (bytes). */
function peakMemory(pid: number): number {
  const [, kB] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kB) * 1024;
}

async function upload(url: string): Promise<void> {
  const piece = randomBytes(MiB);
  const hash = createHash('sha256');
  const request = http.request(`${url}/digest`, { method: 'POST', headers: { 'content-length': 64 * MiB } });
  const response = once(request, 'response');
  for (let i = 0; i < 64; i++) {
    hash.update(piece);
    if (!request.write(piece)) await once(request, 'drain');
  }
  request.end();
  const [answer] = (await response) as [http.IncomingMessage];
  expect(answer.statusCode).toBe(200);
  expect(await textOf(answer)).toBe(hash.digest('hex'));
}

async function download(url: string): Promise<void> {
  const [answer] = (await once(http.get(`${url}/bytes`), 'response')) as [http.IncomingMessage];
  const hash = createHash('sha256');
  let length = 0;
  for await (const piece of answer) {
    hash.update(piece);
    length += piece.length;
  }
  expect(length).toBe(64 * MiB);
  expect(hash.digest('hex')).toBe(answer.headers['x-digest']);
}

async function textOf(answer: http.IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of answer.setEncoding('utf8')) text += piece;
  return text;
}
