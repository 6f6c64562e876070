// The built-in demo app: routes that are cheap, use CPU, wait, stream, send large bodies or crash, to try out a model.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { HttpError } from '../errors.js';
import type { App } from './app.js';

interface Route {
  readonly path: string;
  /** An example query, for the page that lists the routes. */
  readonly query?: string;
  /** What the route does, for that page. */
  readonly summary: string;
  /** Only with `--demo-faults`. */
  readonly isFault?: boolean;
  answer(req: IncomingMessage, res: ServerResponse, query: URLSearchParams): void;
}

const HELLO = Buffer.from('Hello, World!');
const PLAIN = 'text/plain; charset=utf-8';
const HELLO_HEAD = ['content-type', 'text/plain', 'content-length', String(HELLO.length)];
const CHUNK = Buffer.alloc(64 * 1024, 'mpserve\n');

const ROUTES: readonly Route[] = [
  { path: '/', summary: '13 bytes of text; in a browser, this page', answer: hello },
  { path: '/cpu', query: 'ms=50', summary: 'computes for that many ms of CPU time', answer: cpu },
  { path: '/wait', query: 'ms=1000', summary: 'answers after that many ms, idle until then', answer: wait },
  { path: '/bytes', query: 'n=1000000', summary: 'a body of that many bytes', answer: bytes },
  { path: '/echo', summary: 'returns the request body', answer: echo },
  { path: '/stream', query: 'n=10&ms=500', summary: 'a body in chunks, with pauses', answer: stream },
  { path: '/crash', summary: 'exits the worker process', isFault: true, answer: () => process.exit(1) },
  { path: '/hang', summary: 'blocks the event loop for ever', isFault: true, answer: hang },
];

/** `faults` enables `/crash` and `/hang`. */
export function demoApp({ faults }: { faults: boolean }): App {
  const routes = new Map(ROUTES.map((route) => [route.path, route]));
  return {
    kind: 'demo',
    handle(req, res) {
      const target = req.url ?? '/';
      if (target === '/') return hello(req, res);
      const url = URL.canParse(target, 'http://localhost') ? new URL(target, 'http://localhost') : null;
      if (url === null) throw new HttpError(400, `invalid request target: ${target}`);
      const route = routes.get(url.pathname);
      if (route === undefined)
        return text(res, 404, `no route ${url.pathname}; open / in a browser for a list of the routes\n`);
      if (route.isFault && !faults) return text(res, 404, `${route.path} needs --demo-faults\n`);
      route.answer(req, res, url.searchParams);
    },
  };
}

function hello(req: IncomingMessage, res: ServerResponse): void {
  if (isBrowser(req.rawHeaders)) return void page(res);
  res.writeHead(200, HELLO_HEAD);
  res.end(HELLO);
}

/** Reads the raw headers, because `req.headers` would create an object of all headers. */
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
<h1>mpserve</h1><p>This is the demo app, served by process ${process.pid}. To serve your own app: <code>mpserve ./server.js</code>
<table>${rows.join('\n')}</table></html>\n`;
  const length = Buffer.byteLength(html);
  res.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-length': length, vary: 'accept' });
  res.end(html);
}

function cpu(_req: IncomingMessage, res: ServerResponse, query: URLSearchParams): void {
  const ms = numberIn(query, 'ms', 50, 10_000);
  stepsPerMs ??= calibrate();
  compute(ms * stepsPerMs);
  text(res, 200, `busy for ${ms} ms\n`);
}

let stepsPerMs: number | undefined;

/**
 * Measures how many steps a processor does in a millisecond. `/cpu` then does a fixed number of steps instead of
 * running until a deadline: with a deadline, several requests on one processor would each do less work in the same
 * time, and more workers would look like more capacity.
 */
function calibrate(): number {
  const steps = 100_000;
  compute(steps); // warm-up, so that V8 compiles it
  const durations = Array.from({ length: 7 }, () => {
    const began = performance.now();
    compute(steps);
    return performance.now() - began;
  });
  return steps / Math.min(...durations); // the run with the least interference
}

/** A linear congruential generator (Numerical Recipes), which V8 cannot optimise away. */
function compute(steps: number): void {
  for (let i = 0; i < steps; i++) state = (Math.imul(state, 1664525) + 1013904223) | 0;
}

let state = 1;

function wait(_req: IncomingMessage, res: ServerResponse, query: URLSearchParams): void {
  const ms = numberIn(query, 'ms', 1_000, 60_000);
  const timer = setTimeout(text, ms, res, 200, `waited ${ms} ms\n`);
  res.once('close', () => clearTimeout(timer));
}

function bytes(req: IncomingMessage, res: ServerResponse, query: URLSearchParams): void {
  let left = numberIn(query, 'n', 1_000_000, 2 ** 40);
  res.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': left });
  if (req.method === 'HEAD') left = 0;
  const write = (): void => {
    while (left > CHUNK.length) {
      left -= CHUNK.length;
      if (!res.write(CHUNK)) return void res.once('drain', write);
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
  const chunks = numberIn(query, 'n', 10, 1_000);
  const pause = numberIn(query, 'ms', 100, 10_000);
  res.writeHead(200, { 'content-type': PLAIN });
  let sent = 0;
  let timer: NodeJS.Timeout;
  const write = (): void => {
    if (sent === chunks) return void res.end();
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

/** A query parameter as a whole number from 0 to `max`; anything else is a 400. */
function numberIn(query: URLSearchParams, name: string, fallback: number, max: number): number {
  const given = query.get(name);
  if (given === null) return fallback;
  const number = Number(given);
  if (!/^\d+$/.test(given) || number > max) throw new HttpError(400, `${name} must be a number from 0 to ${max}`);
  return number;
}
