// What the app writes into an event stream, cut anywhere: it can end exactly after a blank line.
import { once } from 'node:events';
import { createServer, type IncomingMessage, ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, test } from 'vitest';
import { EventStream, eventStreamOf, watchEvents } from '../../src/pipeline/event-stream.ts';
import { type PipelineResponse, responseClass } from '../../src/pipeline/response.ts';
import { newSeed, randomOf } from '../helpers/seeds.ts';

function stream() {
  const ended = { count: 0 };
  const response = { writableEnded: false, destroyed: false, on: () => {}, end: () => ended.count++ };
  return { events: new EventStream(response as unknown as PipelineResponse), ended };
}

/** Whether the last line is blank, or there is none. */
function isBetweenEvents(text: string): boolean {
  const characters = text.match(/\r\n|[\s\S]/g) ?? [];
  return ['\n', ...characters].slice(-2).every((one) => /^[\r\n]/.test(one)) || characters.length === 0;
}

test('random lines, cut at random places', () => {
  const random = randomOf(newSeed('event streams'));
  const words = ['\n', '\r', '\r\n', '\n\n', '\r\n\r\n', 'data: x', ':', 'é', '世', 'id: 1\n'];
  let between = 0;
  for (let run = 0; run < 5000; run++) {
    const text = Array.from({ length: random.integer(0, 8) }, () => random.pick(words)).join('');
    const { events, ended } = stream();
    for (let at = 0; at < text.length; ) {
      const piece = text.slice(at, at + random.integer(1, 6));
      const encoding = random.pick(['utf8', 'base64', 'hex'] as const);
      if (random.chance(0.5)) events.add(Buffer.from(piece), 'utf8');
      else events.add(Buffer.from(piece).toString(encoding), encoding);
      at += piece.length;
    }
    events.close();
    expect([run, text, events.hasEnded]).toEqual([run, text, isBetweenEvents(text)]);
    expect(ended.count).toBe(Number(events.hasEnded));
    between += ended.count;
  }
  expect(between).toBeGreaterThan(100);
  expect(between).toBeLessThan(4900);
});

test('a stream that is to be closed ends with the write that completes its event, and once', () => {
  const { events, ended } = stream();
  events.add('data: x', 'utf8');
  events.close();
  events.add('\r\n', 'utf8');
  expect(ended.count).toBe(0);
  events.add('\r\n', 'utf8');
  expect(ended.count).toBe(1);
  events.add('data: y\n\n', 'utf8');
  events.close();
  expect(ended.count).toBe(1);
});

/** What the client gets of a response that follows what the app writes. */
async function answer(app: (res: PipelineResponse) => void): Promise<string> {
  const options = { ServerResponse: responseClass(ServerResponse) };
  const server = createServer(options, (_: IncomingMessage, res: PipelineResponse) => {
    watchEvents(res);
    app(res);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.end('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  let text = '';
  for await (const chunk of socket) text += chunk;
  server.close();
  return text;
}

const types = { 'content-type': 'text/event-stream' };

test.each([
  ['an object of headers', true, (res: PipelineResponse) => res.writeHead(200, types)],
  ['a header that was set', true, (res: PipelineResponse) => res.setHeader('Content-Type', 'text/event-stream')],
  [
    'a charset',
    true,
    (res: PipelineResponse) => res.writeHead(200, ['content-type', 'text/event-stream;charset=utf-8']),
  ],
  [
    'another prototype',
    true,
    (res: PipelineResponse) => {
      Object.setPrototypeOf(res, Object.create(ServerResponse.prototype));
      res.writeHead(200, types);
    },
  ],
  ['no type', false, () => {}],
  ['another type', false, (res: PipelineResponse) => res.setHeader('content-type', 'text/event-stream2')],
  ['a type in another header', false, (res: PipelineResponse) => res.setHeader('x-content-type', 'text/event-stream')],
  ['a content coding', false, (res: PipelineResponse) => res.writeHead(200, { ...types, 'content-encoding': 'gzip' })],
  ['a length', false, (res: PipelineResponse) => res.writeHead(200, { ...types, 'content-length': 12 })],
])('%s: an event stream: %j', async (_, isEvents, begin) => {
  let state: EventStream | undefined;
  const text = await answer((res) => {
    begin(res);
    res.write('data');
    state = eventStreamOf(res);
    res.write(': 1\n\n');
    state?.close();
    res.write('x');
    res.end();
  });
  expect(state !== undefined).toBe(isEvents);
  expect(text.includes('data')).toBe(true);
  expect(text.includes('1\r\nx')).toBe(!isEvents && !text.includes('content-length'));
});

test('a function that the app puts around write stays', async () => {
  const written: unknown[] = [];
  await answer((res) => {
    const { write } = res;
    (res as { write: unknown }).write = (chunk: string) => {
      written.push(chunk);
      return write.call(res, chunk, 'utf8');
    };
    for (const chunk of ['a', 'b', 'c']) res.write(chunk);
    res.end();
  });
  expect(written).toEqual(['a', 'b', 'c']);
});

test('what the app writes after the end is no error', async () => {
  const called: unknown[] = [];
  await answer((res) => {
    res.writeHead(200, types);
    res.flushHeaders();
    eventStreamOf(res)?.close();
    expect(res.writableEnded).toBe(true);
    res.write('data: 1\n\n', (error) => called.push(error));
    res.write('data: 2\n\n', 'utf8', (error) => called.push(error));
    res.end('data: 3\n\n');
  });
  expect(called).toEqual([undefined, undefined]);
});
