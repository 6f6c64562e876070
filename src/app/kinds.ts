// Recognises the kind of an exported app and adapts it to `App`. The rows of the table are tried in order, because the
// kinds overlap: a Fastify instance has a `server`, an Express app is a function, many objects have a `fetch`.
//
// Known misdetections: `async (req, res = x) => …` and `(req, ...rest) => …` have a length of one, so they are taken
// for fetch handlers; `(request, env) => new Response()` has a length of two and is taken for a listener. To avoid
// this, an app exports an object with `fetch`, or a function with plain parameters.
import { type IncomingMessage, Server, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { HttpError } from '../errors.js';
import type { App } from './app.js';
import type { Fetch } from './fetch.js';
import { serverApp } from './server-app.js';

type Listener = (req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void) => unknown;
/** An exported value whose properties are checked. */
type Candidate = Record<string, unknown>;
type Method = (...args: unknown[]) => unknown;

interface Kind {
  is(value: Candidate): boolean;
  /** `file` is the user's file: libraries are resolved from there, to get the app's own copy. */
  adapt(value: Candidate, file: string): App | Promise<App>;
}

/** The kinds of app that mpserve accepts, for the error if the user exports something else. */
export const ACCEPTED =
  'a server that listens, a (req, res) function, an Express, Koa, Fastify or Hono app, an object with fetch(request), or an http.Server';

const KINDS: readonly Kind[] = [
  { is: (value) => value instanceof Server, adapt: (value) => serverApp(value as unknown as Server) },
  // Fastify: `routing` is its request listener, but only `server` has the upgrade listeners of its plugins.
  {
    is: (value) => has(value, 'ready', 'routing', 'inject') && value.server instanceof Server,
    async adapt(value) {
      await call(value, 'ready');
      return serverApp(value.server as Server, 'fastify', async () => {
        await call(value, 'close');
      });
    },
  },
  // NestJS and Next.js, if the file exports its app instead of listening.
  {
    is: (value) => has(value, 'init', 'getHttpServer'),
    async adapt(value) {
      await call(value, 'init');
      return serverApp(call(value, 'getHttpServer') as Server);
    },
  },
  {
    is: (value) => has(value, 'prepare', 'getRequestHandler'),
    async adapt(value) {
      await call(value, 'prepare');
      return listenerApp(call(value, 'getRequestHandler') as Listener);
    },
  },
  // Koa: `callback()` composes the middleware, as its `listen()` does.
  {
    is: (value) => has(value, 'callback', 'use') && Array.isArray(value.middleware),
    adapt: (value) => listenerApp(call(value, 'callback') as Listener),
  },
  // Express and Connect: functions of three parameters that send 404 and 500 themselves if called with two.
  {
    is: (value) => typeof value === 'function' && has(value, 'handle', 'use'),
    adapt: (value) => listenerApp(value as unknown as Listener),
  },
  // Hono, h3 2, itty, Elysia, and the `{ fetch }` of Bun, Deno and Workers.
  {
    is: (value) => has(value, 'fetch'),
    adapt: (value) => fetchKind((request, env) => call(value, 'fetch', request, env)),
  },
  // h3 version 1: its own adapter, from the app's own copy.
  {
    is: (value) => has(value, 'handler', 'use') && Array.isArray(value.stack),
    adapt: (value, file) => listenerApp(createRequire(file)('h3').toNodeListener(value) as Listener),
  },
  // Polka, whose `handler` is bound.
  { is: (value) => has(value, 'handler', 'use'), adapt: (value) => listenerApp(value.handler as Listener) },
  { is: isPlainFunction(1), adapt: (value) => fetchKind(value as unknown as Fetch) },
  { is: isPlainFunction(2), adapt: (value) => listenerApp(value as unknown as Listener) },
  { is: isPlainFunction(3), adapt: (value) => middlewareApp(value as unknown as Listener) },
  {
    is: isPlainFunction(0),
    adapt: async (value) => (await import('./fetch.js')).eitherApp(value as unknown as Listener),
  },
];

/** Adapts `value`; undefined if it is not an app. Rejects with the app's own error if the app fails to initialise. */
export async function recognise(value: unknown, file: string): Promise<App | undefined> {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return undefined;
  const kind = KINDS.find(({ is }) => is(value as Candidate));
  return kind?.adapt(value as Candidate, file);
}

async function fetchKind(fetch: Fetch): Promise<App> {
  return (await import('./fetch.js')).fetchApp(fetch);
}

function listenerApp(listener: Listener): App {
  return { kind: 'listener', handle: (req, res) => listener(req, res) };
}

/** There is no next handler after this middleware: `next()` is a 404, and `next(error)` fails with that error. */
function middlewareApp(middleware: Listener): App {
  return {
    kind: 'listener',
    handle: (req, res) =>
      new Promise((resolve, reject) => {
        res.once('close', resolve);
        const next = (error?: unknown): void =>
          reject(error ?? new HttpError(404, 'the app called next(), and there is no next handler'));
        Promise.resolve(middleware(req, res, next)).catch(reject);
      }),
  };
}

function isPlainFunction(parameters: number): (value: unknown) => boolean {
  return (value) => typeof value === 'function' && value.length === parameters && !isClass(value);
}

/** Whether it is a class, which cannot be called without `new`. */
export function isClass(value: object): boolean {
  return Function.prototype.toString.call(value).startsWith('class');
}

function has(value: Candidate, ...methods: string[]): boolean {
  return methods.every((method) => typeof value[method] === 'function');
}

function call(value: Candidate, method: string, ...args: unknown[]): unknown {
  return (value[method] as Method)(...args);
}
