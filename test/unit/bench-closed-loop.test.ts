// The closed loop against servers that answer, close and break off: what is counted is what the server saw.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { closedLoop } from '../../src/bench/closed-loop.ts';
import type { Job, Request } from '../../src/bench/job.ts';
import { Tally } from '../../src/bench/tally.ts';

class Adder extends Tally {
  milliseconds = 0;
  override answered(status: number, milliseconds: number): void {
    this.milliseconds += milliseconds;
    super.answered(status, milliseconds);
  }
}

/** So many requests a connection, and then those that come before the loop has noticed, are what each test is about. */
const enough = 20;

/** Long after all of them: what ends a test is that there were enough, however long that takes. */
const durationMs = 50_000;

const get: Request = { path: '/', method: 'GET', headers: {} };

/** @param answer is told how many requests there were, this one included */
async function load(
  answer: (request: IncomingMessage, response: ServerResponse, count: number) => void,
  connections: number,
  requests: readonly Request[] = [get],
  limits: Partial<Server> = {},
) {
  let asked = 0;
  let opened = 0;
  const end = new AbortController();
  const server = createServer((request, response) => {
    if (++asked > enough * connections) end.abort();
    answer(request, response, asked);
  });
  Object.assign(server, limits);
  server.on('connection', () => opened++).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const tally = new Adder();
  try {
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const job: Job = { origin, connections, durationMs, requests, load: { kind: 'closed' } };
    const seconds = await closedLoop(job, tally, end.signal);
    return { ...tally.report(seconds), milliseconds: tally.milliseconds, asked, opened };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** At the end each connection may have one request under way, of which the loop knows nothing more. */
function expectAll(counted: number, seen: number, connections: number): void {
  expect(counted).toBeGreaterThan(0);
  expect(counted).toBeLessThanOrEqual(seen);
  expect(counted).toBeGreaterThanOrEqual(seen - connections);
}

function begin(response: ServerResponse, headers: Record<string, string | number>): void {
  response.writeHead(200, headers).write('half', () => response.socket?.destroy());
}

const none = { connection: 0, timeout: 0, status: 0 };

describe.each([1, 8])('with %i connection(s)', (connections) => {
  test('every answer is counted, on connections that are kept', async () => {
    const run = await load((_, response) => response.end('x'), connections);
    expect(run).toMatchObject({ errors: none, opened: connections });
    expectAll(run.requests, run.asked, connections);
  });

  test('a request whose connection is closed without an answer is a connection error', async () => {
    let lost = 0;
    const run = await load((request, response, count) => {
      if (count % 5 > 0) return response.end('x');
      lost++;
      request.socket.destroy();
    }, connections);
    expect(run.errors).toEqual({ ...none, connection: expect.any(Number) });
    expectAll(run.errors.connection, lost, connections);
    expectAll(run.requests, run.asked - lost, connections);
  });

  test.each<[how: string, breakOff: (response: ServerResponse) => void]>([
    ['reset', ({ socket }) => socket?.resetAndDestroy()],
    ['closed in the head of its answer', ({ socket }) => socket?.end('HTTP/1.1 200 O')],
    ['closed in the body of its answer', (response) => begin(response, { 'content-length': 1000 })],
    ['closed in a chunked answer', (response) => begin(response, {})],
    ['closed in the last answer it announced', (response) => begin(response, { connection: 'close' })],
  ])('a request whose connection is %s is one connection error', async (_, breakOff) => {
    let lost = 0;
    const run = await load((__, response, count) => {
      if (count % 5 > 0) return response.end('x');
      lost++;
      breakOff(response);
    }, connections);
    expect(run.errors).toEqual({ ...none, connection: expect.any(Number) });
    expectAll(run.errors.connection, lost, connections);
    expectAll(run.requests, run.asked - lost, connections);
    expect(run.asked).toBeGreaterThan(connections);
  });

  // On one connection requests follow one another: their latencies cannot add up to more than the time.
  test('a lost request does not spoil the latencies of those that follow', async () => {
    const run = await load((request, response, count) => {
      if (count % 5 > 0) response.end('x');
      else request.socket.destroy();
    }, connections);
    expect(run.errors.connection).toBeGreaterThan(0);
    expect(run.milliseconds).toBeGreaterThan(0);
    expect(run.milliseconds).toBeLessThanOrEqual(connections * run.seconds * 1000);
  });

  test.each(['close', 'Close'])('a server that announces it with `connection: %s` loses nothing', async (value) => {
    const run = await load((_, response) => response.setHeader('connection', value).end('x'), connections);
    expect(run.errors).toEqual(none);
    expectAll(run.requests, run.asked, connections);
    expect(run.opened).toBeGreaterThan(connections);
    expect(run.milliseconds).toBeLessThanOrEqual(connections * run.seconds * 1000);
  });

  test('nothing is asked on a connection whose close was announced, even if it stays open', async () => {
    const run = await load((_, response) => response.end('x'), connections, [get], { maxRequestsPerSocket: 3 });
    expect(run.errors).toEqual(none);
    expectAll(run.requests, run.asked, connections);
    expect(run.opened).toBeGreaterThan(connections);
  });

  test('a close that was not announced last is an error, whatever was announced before', async () => {
    let lost = 0;
    const run = await load((request, response, count) => {
      if (count % 3 === 0) return response.setHeader('connection', 'close').end('x');
      if (count % 3 === 1) return response.end('x');
      lost++;
      request.socket.destroy();
    }, connections);
    expectAll(run.errors.connection, lost, connections);
    expectAll(run.requests, run.asked - lost, connections);
  });
});

test('an answer with a bad status is an answer, and an error', async () => {
  const run = await load((_, response, count) => response.writeHead(count % 2 ? 503 : 404).end(), 4);
  expect(run.errors).toEqual({ ...none, status: run.requests });
  expectAll(run.requests, run.asked, 4);
});

test('requests are sent in turn, with all they have', async () => {
  const seen: unknown[] = [];
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks = await request.toArray();
    const { method, url, headers } = request;
    seen.push([method, url, headers['x-token'], Buffer.concat(chunks).toString()]);
    response.end();
  };
  await load(answer, 1, [
    { path: '/a?b=c', method: 'GET', headers: { 'x-token': 'one' } },
    { path: '/d', method: 'POST', headers: {}, body: 'a body' },
    { path: '/e', method: 'DELETE', headers: {} },
  ]);
  const turn = [
    ['GET', '/a?b=c', 'one', ''],
    ['POST', '/d', undefined, 'a body'],
    ['DELETE', '/e', undefined, ''],
  ];
  expect(seen.slice(0, 6)).toEqual([...turn, ...turn]);
});
