// The built-in app: routes that are cheap, busy, slow, large or fatal, to try a model with. Depends on nothing.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { HttpError } from '../errors.js';
import type { App } from './app.js';

interface Route {
  readonly path: string;
  /** For the page: an example of the query, and what the route does. */
  readonly query?: string;
  readonly summary: string;
  /** Only with `--demo-faults`. */
  readonly isFault?: boolean;
  answer(req: IncomingMessage, res: ServerResponse, query: URLSearchParams): void;
}

const HELLO = Buffer.from('Hello, World!');
const PLAIN = 'text/plain; charset=utf-8';
const HELLO_HEAD = ['content-type', 'text/plain', 'content-length', String(HELLO.length)];
const CHUNK = Buffer.alloc(64 * 1024, 'mpserve\n');

const LONGEST_CPU_MS = 10_000;
const LONGEST_WAIT_MS = 60_000;
const MOST_BYTES = 2 ** 40;
const MOST_CHUNKS = 1_000;
const LONGEST_PAUSE_MS = 10_000;

const ROUTES: readonly Route[] = [
  { path: '/', summary: '13 bytes of text; this page for a browser', answer: hello },
  { path: '/cpu', query: 'ms=50', summary: 'keeps the CPU busy', answer: cpu },
  { path: '/wait', query: 'ms=1000', summary: 'answers later, idle until then', answer: wait },
  { path: '/bytes', query: 'n=1000000', summary: 'a body of that many bytes', answer: bytes },
  { path: '/echo', summary: 'gives the request body back', answer: echo },
  { path: '/stream', query: 'n=10&ms=500', summary: 'a body in chunks, with pauses', answer: stream },
  { path: '/crash', summary: 'ends the worker', isFault: true, answer: () => process.exit(1) },
  { path: '/hang', summary: 'blocks the worker for ever', isFault: true, answer: hang },
];

/** `faults` lets it answer `/crash` and `/hang`. */
export function demoApp({ faults }: { faults: boolean }): App {
  const routes = new Map(ROUTES.map((route) => [route.path, route]));
  return {
    kind: 'demo',
    handle(req, res) {
      const target = req.url ?? '/';
      if (target === '/') return hello(req, res);
      const url = URL.canParse(target, 'http://localhost') ? new URL(target, 'http://localhost') : null;
      if (url === null) throw new HttpError(400, `not a request target: ${target}`);
      const route = routes.get(url.pathname);
      if (route === undefined) return text(res, 404, `no route ${url.pathname}; / lists them in a browser\n`);
      if (route.isFault && !faults) return text(res, 404, `${route.path} is answered only with --demo-faults\n`);
      route.answer(req, res, url.searchParams);
    },
  };
}

function hello(req: IncomingMessage, res: ServerResponse): void {
  if (isBrowser(req.rawHeaders)) {
    page(res);
  } else {
    res.writeHead(200, HELLO_HEAD);
    res.end(HELLO);
  }
}

/** From the raw headers, because `req.headers` builds an object of them all. */
function isBrowser(raw: readonly string[]): boolean {
  for (let i = 0; i < raw.length; i += 2) {
    if (raw[i]?.length === 6 && raw[i]?.toLowerCase() === 'accept') return raw[i + 1]?.includes('text/html') ?? false;
  }
  return false;
}

function page(res: ServerResponse): void {
  const rows = ROUTES.map(({ path, query, summary, isFault }) => {
    const target = query === undefined ? path : `${path}?${query}`;
    const link = `<a href="${target.replace('&', '&amp;')}">${target.replace('&', '&amp;')}</a>`;
    return `<tr><td>${isFault ? target : link}<td>${summary}${isFault ? ' (with --demo-faults)' : ''}`;
  });
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>mpserve</title>
<style>body{font:1rem/1.6 system-ui;margin:3rem auto;max-width:40rem;padding:0 1rem}td{padding-right:2rem}</style>
<h1>mpserve</h1><p>This is the demo app, served by process ${process.pid}. Name your own: <code>mpserve ./server.js</code>
<table>${rows.join('\n')}</table></html>\n`;
  const length = Buffer.byteLength(html);
  res.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-length': length, vary: 'accept' });
  res.end(html);
}

function cpu(_req: IncomingMessage, res: ServerResponse, query: URLSearchParams): void {
  const ms = numberIn(query, 'ms', 50, LONGEST_CPU_MS);
  stepsPerMs ??= calibrate();
  compute(ms * stepsPerMs);
  text(res, 200, `busy for ${ms} ms\n`);
}

let stepsPerMs: number | undefined;

/**
 * How much work a millisecond of an undisturbed processor does. Work is counted and not the clock: by the clock,
 * several that share a processor would each be done in the same time, and more of them would look like more power.
 */
function calibrate(): number {
  const steps = 100_000;
  compute(steps); // for the compiler
  const times = Array.from({ length: 7 }, () => {
    const began = performance.now();
    compute(steps);
    return performance.now() - began;
  });
  return steps / Math.min(...times); // the least disturbed
}

/** A linear congruential generator (Numerical Recipes), of which the compiler can leave out nothing. */
function compute(steps: number): void {
  for (let i = 0; i < steps; i++) state = (Math.imul(state, 1664525) + 1013904223) | 0;
}

let state = 1;

function wait(_req: IncomingMessage, res: ServerResponse, query: URLSearchParams): void {
  const ms = numberIn(query, 'ms', 1_000, LONGEST_WAIT_MS);
  const timer = setTimeout(text, ms, res, 200, `waited ${ms} ms\n`);
  res.once('close', () => clearTimeout(timer));
}

function bytes(req: IncomingMessage, res: ServerResponse, query: URLSearchParams): void {
  let left = numberIn(query, 'n', 1_000_000, MOST_BYTES);
  res.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': left });
  if (req.method === 'HEAD') left = 0;
  const write = (): void => {
    while (left > CHUNK.length) {
      left -= CHUNK.length;
      if (!res.write(CHUNK)) {
        res.once('drain', write);
        return;
      }
    }
    res.end(CHUNK.subarray(0, left));
  };
  write();
}

function echo(req: IncomingMessage, res: ServerResponse): void {
  const length = req.headers['content-length'];
  res.setHeader('content-type', req.headers['content-type'] ?? 'application/octet-stream');
  if (length !== undefined) res.setHeader('content-length', length);
  req.pipe(res);
}

function stream(_req: IncomingMessage, res: ServerResponse, query: URLSearchParams): void {
  const chunks = numberIn(query, 'n', 10, MOST_CHUNKS);
  const pause = numberIn(query, 'ms', 100, LONGEST_PAUSE_MS);
  res.writeHead(200, { 'content-type': PLAIN });
  let sent = 0;
  let timer: NodeJS.Timeout;
  const write = (): void => {
    if (sent === chunks) {
      res.end();
      return;
    }
    sent += 1;
    res.write(`chunk ${sent} of ${chunks}\n`);
    timer = setTimeout(write, pause);
  };
  res.once('close', () => clearTimeout(timer));
  write();
}

function hang(): never {
  for (;;);
}

function text(res: ServerResponse, status: number, body: string): void {
  res.writeHead(status, { 'content-type': PLAIN, 'content-length': Buffer.byteLength(body) });
  res.end(body);
}

/** A whole number from 0 to `most`; anything else is the client's fault. */
function numberIn(query: URLSearchParams, name: string, otherwise: number, most: number): number {
  const given = query.get(name);
  if (given === null) return otherwise;
  const number = Number(given);
  if (!/^\d+$/.test(given) || number > most) throw new HttpError(400, `${name} must be a number from 0 to ${most}`);
  return number;
}
