// Each answer carries its request's id exactly once, however the app sets its headers.
import { once } from 'node:events';
import { createServer, type IncomingMessage, ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PipelineResponse, responseClass } from '../../src/pipeline/response.ts';

type Answer = (res: PipelineResponse) => void;

const ways: Record<string, Answer> = {
  'no header': (res) => res.end(),
  setHeader: (res) => res.setHeader('x-a', '1').end(),
  setHeaders: (res) => res.setHeaders(new Map([['x-a', '1']])).end(),
  'writeHead with an object': (res) => res.writeHead(200, { 'x-a': '1' }).end(),
  'writeHead with a reason': (res) => res.writeHead(200, 'Fine', { 'x-a': '1' }).end(),
  'writeHead with a flat list': (res) => res.writeHead(200, ['x-a', '1', 'x-a', '2']).end(),
  'writeHead with pairs': (res) => res.writeHead(200, [['x-a', '1']] as never).end(),
  'writeHead after setHeader': (res) => res.setHeader('x-b', '1').writeHead(200, { 'x-a': '1' }).end(),
  flushHeaders: (res) => {
    res.flushHeaders();
    res.end('late');
  },
  'early hints': (res) => res.writeEarlyHints({ link: '</a>; rel=preload' }, () => res.end()),
  'another prototype, as Express gives it': (res) => {
    Object.setPrototypeOf(res, Object.create(Object.getPrototypeOf(Object.getPrototypeOf(res))));
    res.end();
  },
};

const ownWays: Record<string, Answer> = {
  setHeader: (res) => res.setHeader('X-Request-Id', 'own').end(),
  'writeHead with an object': (res) => res.writeHead(200, { 'X-Request-ID': 'own' }).end(),
  'writeHead with a flat list': (res) => res.writeHead(200, ['X-Request-ID', 'own']).end(),
  'writeHead with pairs': (res) => res.writeHead(200, [['x-request-id', 'own']] as never).end(),
  'writeHead after setHeader': (res) => res.setHeader('x-request-id', 'own').writeHead(200, { 'x-a': '1' }).end(),
};

let answer: Answer = () => {};
const server = createServer(
  { ServerResponse: responseClass(ServerResponse) },
  (_: IncomingMessage, res: PipelineResponse) => {
    res.reqId = 'the-id';
    answer(res);
  },
);
beforeAll(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
});
afterAll(() => {
  server.close();
});

async function idsOf(way: Answer): Promise<string[]> {
  answer = way;
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.end('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  let text = '';
  for await (const chunk of socket) text += chunk;
  const final = text.slice(text.lastIndexOf('HTTP/1.1 200'));
  return [...final.matchAll(/^x-request-id: (.*)\r$/gim)].map(([, id = '']) => id);
}

test.each(Object.entries(ways))('%s', async (_, way) => {
  expect(await idsOf(way)).toEqual(['the-id']);
});

test.each(Object.entries(ownWays))("the app's own stays: %s", async (_, way) => {
  expect(await idsOf(way)).toEqual(['own']);
});
