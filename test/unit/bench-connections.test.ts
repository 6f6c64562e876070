// The loads with a connection per request and with idle connections, against servers that respond, close and truncate.
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { connectionPerRequest } from '../../src/bench/connection-per-request.ts';
import { idleConnections } from '../../src/bench/idle-connections.ts';
import type { Job, Load, Request } from '../../src/bench/job.ts';
import { Tally } from '../../src/bench/tally.ts';

const get: Request = { path: '/', method: 'GET', headers: {} };
const none = { connection: 0, timeout: 0, status: 0 };

async function load(kind: 'connection-per-request' | 'idle', listener: RequestListener, job: Partial<Job>) {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const all: Job = { origin, connections: 2, durationMs: 100, requests: [get], load: { kind } as Load, ...job };
    const tally = new Tally();
    await (kind === 'idle' ? idleConnections : connectionPerRequest)(all, tally);
    return tally.report(1);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test.each<[what: string, method: string, listener: RequestListener]>([
  ['with a length', 'GET', (_, response) => response.end('x')],
  ['in chunks', 'GET', (_, response) => response.write('x', () => response.end('y'))],
  ['to HEAD', 'HEAD', (_, response) => response.setHeader('content-length', 9).end()],
])('a connection per request counts a complete response %s', async (_, method, listener) => {
  const { requests, errors } = await load('connection-per-request', listener, { requests: [{ ...get, method }] });
  expect(errors).toEqual(none);
  expect(requests).toBeGreaterThan(0);
});

test.each<[what: string, headers: Record<string, string>]>([
  ['its length', { 'content-length': '1000' }],
  ['its last chunk', { 'transfer-encoding': 'chunked' }],
])('a connection per request counts a response that ends before %s as an error', async (_, headers) => {
  const listener: RequestListener = (_, response) =>
    response.writeHead(200, headers).write('0123456789', () => response.socket?.end());
  const { requests, errors } = await load('connection-per-request', listener, {});
  expect({ requests, timeout: errors.timeout }).toEqual({ requests: 0, timeout: 0 });
  expect(errors.connection).toBeGreaterThan(0);
});

test('idle connections send the body, and one that is closed without a response is an error', async () => {
  const bodies: string[] = [];
  let received = 0;
  const listener: RequestListener = async (request, response) => {
    bodies.push(await text(request));
    if (++received % 2 === 0) response.socket?.destroy();
    else response.end('x');
  };
  const requests = [{ ...get, method: 'POST', body: 'hello' }];
  const report = await load('idle', listener, { connections: 4, durationMs: 3000, requests });
  expect(report).toMatchObject({ requests: 2, errors: { ...none, connection: 2 } });
  expect(bodies).toEqual(['hello', 'hello', 'hello', 'hello']);
});
