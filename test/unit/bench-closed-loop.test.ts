// The closed loop against servers that respond, close and reset connections: its counts match the server's.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { closedLoop } from '../../src/bench/closed-loop.ts';
import type { Job, Request } from '../../src/bench/job.ts';
import { Tally } from '../../src/bench/tally.ts';

/** Adds up all latencies, too. */
class SummingTally extends Tally {
  milliseconds = 0;
  override recordResponse(status: number, milliseconds: number): void {
    this.milliseconds += milliseconds;
    super.recordResponse(status, milliseconds);
  }
}

/** The server stops the loop after this many requests per connection. */
const requestsPerConnection = 20;

/** Never reached: the number of requests ends each test. */
const durationMs = 50_000;

const get: Request = { path: '/', method: 'GET', headers: {} };

/** @param respond gets the number of requests so far, the current one included, as `count` */
async function load(
  respond: (request: IncomingMessage, response: ServerResponse, count: number) => void,
  connections: number,
  requests: readonly Request[] = [get],
  limits: Partial<Server> = {},
) {
  let received = 0;
  let opened = 0;
  const end = new AbortController();
  const server = createServer((request, response) => {
    if (++received > requestsPerConnection * connections) end.abort();
    respond(request, response, received);
  });
  Object.assign(server, limits);
  server.on('connection', () => opened++).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const tally = new SummingTally();
  try {
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const job: Job = { origin, connections, durationMs, requests, load: { kind: 'closed' } };
    const seconds = await closedLoop(job, tally, end.signal);
    return { ...tally.report(seconds), milliseconds: tally.milliseconds, received, opened };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** When the loop ends, each connection may have one request in flight that the loop does not count. */
function expectAll(counted: number, received: number, connections: number): void {
  expect(counted).toBeGreaterThan(0);
  expect(counted).toBeLessThanOrEqual(received);
  expect(counted).toBeGreaterThanOrEqual(received - connections);
}

function closeInBody(response: ServerResponse, headers: Record<string, string | number>): void {
  response.writeHead(200, headers).write('half', () => response.socket?.destroy());
}

const none = { connection: 0, timeout: 0, status: 0 };

describe.each([1, 8])('with %i connection(s)', (connections) => {
  test('counts every response on keep-alive connections', async () => {
    const run = await load((_, response) => response.end('x'), connections);
    expect(run).toMatchObject({ errors: none, opened: connections });
    expectAll(run.requests, run.received, connections);
  });

  test('counts a connection error when the server closes a connection without a response', async () => {
    let lost = 0;
    const run = await load((request, response, count) => {
      if (count % 5 > 0) return response.end('x');
      lost++;
      request.socket.destroy();
    }, connections);
    expect(run.errors).toEqual({ ...none, connection: expect.any(Number) });
    expectAll(run.errors.connection, lost, connections);
    expectAll(run.requests, run.received - lost, connections);
  });

  test.each<[how: string, fail: (response: ServerResponse) => void]>([
    ['reset', ({ socket }) => socket?.resetAndDestroy()],
    ['closed in the response head', ({ socket }) => socket?.end('HTTP/1.1 200 O')],
    ['closed in the response body', (response) => closeInBody(response, { 'content-length': 1000 })],
    ['closed in a chunked response', (response) => closeInBody(response, {})],
    ['closed in a response with `connection: close`', (response) => closeInBody(response, { connection: 'close' })],
  ])('counts one connection error when the connection is %s', async (_, fail) => {
    let lost = 0;
    const run = await load((__, response, count) => {
      if (count % 5 > 0) return response.end('x');
      lost++;
      fail(response);
    }, connections);
    expect(run.errors).toEqual({ ...none, connection: expect.any(Number) });
    expectAll(run.errors.connection, lost, connections);
    expectAll(run.requests, run.received - lost, connections);
    expect(run.received).toBeGreaterThan(connections);
  });

  // Requests on one connection are sequential, so their latencies add up to the duration at most.
  test('a lost request does not distort later latencies', async () => {
    const run = await load((request, response, count) => {
      if (count % 5 > 0) response.end('x');
      else request.socket.destroy();
    }, connections);
    expect(run.errors.connection).toBeGreaterThan(0);
    expect(run.milliseconds).toBeGreaterThan(0);
    expect(run.milliseconds).toBeLessThanOrEqual(connections * run.seconds * 1000);
  });

  test.each(['close', 'Close'])('counts no error when the server closes after `connection: %s`', async (value) => {
    const run = await load((_, response) => response.setHeader('connection', value).end('x'), connections);
    expect(run.errors).toEqual(none);
    expectAll(run.requests, run.received, connections);
    expect(run.opened).toBeGreaterThan(connections);
    expect(run.milliseconds).toBeLessThanOrEqual(connections * run.seconds * 1000);
  });

  test('sends no request after `connection: close`, even if the connection stays open', async () => {
    const run = await load((_, response) => response.end('x'), connections, [get], { maxRequestsPerSocket: 3 });
    expect(run.errors).toEqual(none);
    expectAll(run.requests, run.received, connections);
    expect(run.opened).toBeGreaterThan(connections);
  });

  test('counts an error when a connection closes without `connection: close`, after another one closed with it', async () => {
    let lost = 0;
    const run = await load((request, response, count) => {
      if (count % 3 === 0) return response.setHeader('connection', 'close').end('x');
      if (count % 3 === 1) return response.end('x');
      lost++;
      request.socket.destroy();
    }, connections);
    expectAll(run.errors.connection, lost, connections);
    expectAll(run.requests, run.received - lost, connections);
  });
});

test('a response with an error status counts as a response and as an error', async () => {
  const run = await load((_, response, count) => response.writeHead(count % 2 ? 503 : 404).end(), 4);
  expect(run.errors).toEqual({ ...none, status: run.requests });
  expectAll(run.requests, run.received, 4);
});

test('sends requests in rotation, with their headers and bodies', async () => {
  const seen: unknown[] = [];
  const respond = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks = await request.toArray();
    const { method, url, headers } = request;
    seen.push([method, url, headers['x-token'], Buffer.concat(chunks).toString()]);
    response.end();
  };
  await load(respond, 1, [
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
