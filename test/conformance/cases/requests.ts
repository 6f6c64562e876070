// Requests and connections: methods, fields, keep-alive, pipelining.
import { METHODS } from 'node:http';
import { expect, test } from 'vitest';
import { echoed, type Place } from '../target.js';

// Not every Node knows every method.
const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'MKCOL', 'QUERY'].filter((name) =>
  METHODS.includes(name),
);

export function requests({ connect, has }: Place): void {
  test(`${methods.join(', ')} reach the app, on one connection`, async () => {
    using wire = await connect();
    for (const method of methods) {
      const response = await wire.ask(`${method} /echo?by=${method}`, {}, method === 'GET' ? undefined : 'body');
      expect(response.status).toBe(200);
      expect(echoed(response)).toMatchObject({ method, url: `/echo?by=${method}` });
    }
  });

  test('HEAD gets the fields of GET without a body, and the connection goes on', async () => {
    using wire = await connect();
    const got = await wire.ask('GET /');
    const head = await wire.ask('HEAD /');
    expect([head.status, head.headers['content-length'], head.headers['content-type']]).toEqual([
      200,
      '2',
      'text/plain',
    ]);
    expect(Object.keys(head.headers).sort()).toEqual(Object.keys(got.headers).sort());
    expect((await wire.ask('GET /')).body).toBe('ok');
  });

  test('names, order and repetition of header fields reach the app as they were sent', async () => {
    using wire = await connect();
    await wire.write('GET /echo HTTP/1.1\r\nHOST: a\r\nx-B: 1\r\nX-b: 2\r\nCookie: a=1\r\ncookie: b=2\r\n\r\n');
    const { rawHeaders } = echoed(await wire.response());
    expect(rawHeaders).toEqual(['HOST', 'a', 'x-B', '1', 'X-b', '2', 'Cookie', 'a=1', 'cookie', 'b=2']);
  });

  test('a request may come a byte at a time', async () => {
    using wire = await connect();
    wire.socket.setNoDelay(true);
    for (const byte of 'POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc') {
      await wire.write(byte);
      await new Promise(setImmediate);
    }
    expect(echoed(await wire.response()).body).toBe('abc');
  });

  test.runIf(has('workers keep connections'))('one connection stays with one worker', async () => {
    using wire = await connect();
    const workers = new Set<string | undefined>();
    for (let i = 0; i < 20; i++) workers.add((await wire.ask('GET /')).headers['x-worker']);
    expect([...workers]).toEqual([expect.stringMatching(/^\d+:\d+$/)]);
  });

  test('HTTP/1.0 is closed after one answer', async () => {
    using wire = await connect();
    await wire.write('GET / HTTP/1.0\r\n\r\n');
    expect(await wire.response()).toMatchObject({ status: 200, body: 'ok' });
    expect(await wire.rest()).toHaveLength(0);
  });

  test('HTTP/1.0 with keep-alive is kept', async () => {
    using wire = await connect();
    for (let i = 0; i < 3; i++) {
      await wire.write('GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n');
      const { status, headers } = await wire.response();
      expect([status, headers.connection]).toEqual([200, 'keep-alive']);
    }
  });

  test('connection: close is answered and obeyed', async () => {
    using wire = await connect();
    const { headers } = await wire.ask('GET /', { connection: 'close' });
    expect(headers.connection).toBe('close');
    expect(await wire.rest()).toHaveLength(0);
  });

  test('pipelined requests are answered in their order, byte for byte, the slow ones first', async () => {
    using wire = await connect();
    const asked = Array.from({ length: 30 }, (_, i) => (i % 10 === 0 ? `/wait?ms=20&i=${i}` : `/echo?i=${i}`));
    await wire.write(asked.map((url) => `POST ${url} HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody`).join(''));
    for (const url of asked) {
      const response = await wire.response();
      expect(response.status).toBe(200);
      if (url.startsWith('/wait')) expect(response.body).toBe('waited');
      else expect(echoed(response)).toMatchObject({ url, body: 'body' });
    }
    wire.end();
    expect(await wire.rest()).toHaveLength(0);
  });
}
