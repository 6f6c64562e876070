// Which kind an ambiguous export is recognised as, and how an `http.Server` app follows changes of its listeners.
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { exportedApp, namedApp } from '../../src/app/exported.ts';
import { recognise } from '../../src/app/kinds.ts';
import { serverApp } from '../../src/app/server-app.ts';
import { serveApp } from './served-app.ts';

const FILE = '/srv/app.js';
type Args = [IncomingMessage, ServerResponse];

async function answerOf(value: unknown): Promise<string> {
  const app = await recognise(value, FILE);
  if (app === undefined) return 'not an app';
  await using served = await serveApp(app);
  const response = await fetch(served.url);
  return `${app.kind}: ${response.status} ${await response.text()}`;
}

const end = (text: string) => (_req: IncomingMessage, res: ServerResponse) => {
  res.end(text);
};
class Shop {
  name = 'shop';
  fetch(): Response {
    return new Response(`${this.name} by fetch`);
  }
}

test.each<[string, unknown, string]>([
  ['a function of two parameters', end('two'), 'listener: 200 two'],
  ['a function of one', (request: Request) => new Response(request.method), 'fetch: 200 GET'],
  ['a function of none that returns a Response', () => new Response('none'), 'listener: 200 none'],
  ['a function of none that forwards', (...args: Args) => end('forwarded')(...args), 'listener: 200 forwarded'],
  [
    'a middleware that answers',
    (_req: unknown, res: ServerResponse, _next: unknown) => res.end('mid'),
    'listener: 200 mid',
  ],
  ['a middleware that calls next()', (_req: unknown, _res: unknown, next: () => void) => next(), 'listener: 404 '],
  [
    'a middleware that fails',
    (_: unknown, _res: unknown, next: (e: Error) => void) => next(new Error()),
    'listener: 500 ',
  ],
  ['an instance whose class has fetch', new Shop(), 'fetch: 200 shop by fetch'],
  ['a class', Shop, 'not an app'],
  ['an error handler of four parameters', (_a: unknown, _b: unknown, _c: unknown, _d: unknown) => {}, 'not an app'],
  ['a Polka-like object', { use() {}, handler: end('polka') }, 'listener: 200 polka'],
  ['a Koa-like object', { use() {}, middleware: [], callback: () => end('koa') }, 'listener: 200 koa'],
  ['a Next-like object', { async prepare() {}, getRequestHandler: () => end('next') }, 'listener: 200 next'],
  ['a Nest-like object', { async init() {}, getHttpServer: () => http.createServer(end('nest')) }, 'server: 200 nest'],
  ['null', null, 'not an app'],
  ['a string', 'app', 'not an app'],
])('%s', async (_, value, answer) => {
  expect(await answerOf(value)).toBe(answer);
});

test('a fetch handler is given the Node request and response, as @hono/node-server gives them', async () => {
  const fetchHandler = (_: Request, env: { incoming: IncomingMessage }) => new Response(env.incoming.method);
  expect(await answerOf({ fetch: fetchHandler })).toBe('fetch: 200 GET');
});

test('the default export has precedence over named exports, and may be a promise', async () => {
  const module = { __esModule: true, default: Promise.resolve(end('default')), app: end('app') };
  expect((await exportedApp(module, FILE))?.app.kind).toBe('listener');
  for (const name of ['app', 'server', 'handler', 'fetch']) {
    expect(await exportedApp({ __esModule: true, port: 1, [name]: end(name) }, FILE)).toBeDefined();
  }
  expect(await exportedApp({ __esModule: true, other: end('other') }, FILE)).toBeUndefined();
});

test('an export called fetch is a fetch handler, even with a second parameter', async () => {
  const module = { __esModule: true, fetch: (_request: unknown, _env: unknown) => new Response() };
  expect((await exportedApp(module, FILE))?.app.kind).toBe('fetch');
  expect((await namedApp(module, 'fetch', FILE)).app.kind).toBe('fetch');
});

test('a named export may be a property of the default one', async () => {
  expect((await namedApp({ default: { admin: end('admin') } }, 'admin', FILE)).app.kind).toBe('listener');
  await expect(namedApp(undefined, 'admin', FILE)).rejects.toThrow('it exports nothing by name');
});

test('an app may add, replace and remove listeners at any time', async () => {
  const server = http.createServer(end('first'));
  await using served = await serveApp(serverApp(server));
  const answer = async () => (await fetch(served.url)).text();
  expect(await answer()).toBe('first');

  const [first] = server.listeners('request') as ((...args: Args) => void)[];
  server.removeAllListeners('request'); // as engine.io does
  server.on('request', (req, res) => (req.url === '/io' ? res.end('io') : first?.call(server, req, res)));
  expect(await answer()).toBe('first');
  expect(await (await fetch(`${served.url}/io`)).text()).toBe('io');

  server.removeAllListeners();
  server.once('request', end('once')).on('request', (_req, res) => res.writableEnded || res.end('then'));
  expect(await answer()).toBe('once');
  expect(await answer()).toBe('then');
});

test('`this` in a listener is the server', async () => {
  const server = http.createServer();
  server.on('request', function (this: http.Server, _req, res) {
    res.end(String(this === server));
  });
  await using served = await serveApp(serverApp(server));
  expect(await (await fetch(served.url)).text()).toBe('true');
});
