// Bodies both ways: framing, streaming, back-pressure, trailers, 100-continue.
import { expect, test } from 'vitest';
import { echoed, type Place, token } from '../target.js';

const MiB = 2 ** 20;
const large = 64 * MiB;
const chunkedHead = (url: string): string => `POST ${url} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n`;

export function bodies({ connect, server }: Place): void {
  test('a body with a length and a chunked one arrive whole', async () => {
    using wire = await connect();
    const body = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i)).repeat(300);
    expect(echoed(await wire.ask('POST /echo', {}, body)).body).toBe(body);
    await wire.write(`${chunkedHead('/echo')}3;x=y\r\nabc\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`);
    expect(echoed(await wire.response()).body).toBe(`abc${body}`);
  });

  test('each part of a body comes back before the next one is sent', async () => {
    using wire = await connect();
    await wire.write(chunkedHead('/pipe'));
    expect((await wire.head()).status).toBe(200);
    for (let i = 0; i < 20; i++) {
      const part = `part ${i}`;
      await wire.write(`${part.length.toString(16)}\r\n${part}\r\n`);
      expect((await wire.chunk()).toString()).toBe(part);
    }
    await wire.write('0\r\n\r\n');
    expect(await wire.chunk()).toHaveLength(0);
  });

  test('trailers arrive, both ways', async () => {
    using wire = await connect();
    await wire.write(`${chunkedHead('/echo')}1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n`);
    expect(echoed(await wire.response()).rawTrailers).toEqual(['X-Sum', '1']);
    expect(await wire.ask('GET /trailers')).toMatchObject({ body: 'body', trailers: { 'x-sum': '4' } });
  });

  test('100-continue is told to go on and then sends its body', async () => {
    using wire = await connect();
    await wire.write('POST /echo HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n');
    expect((await wire.head()).status).toBe(100);
    await wire.write('body');
    expect(echoed(await wire.response()).body).toBe('body');
    expect((await wire.ask('GET /')).status).toBe(200);
  });

  test('an app that never reads answers all the same, and the connection goes on', async () => {
    using wire = await connect();
    await wire.write('POST /never-reads HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 100000\r\n\r\n');
    expect((await wire.head()).status).toBe(100);
    expect((await wire.response()).body).toBe('unread');
    await wire.write(Buffer.alloc(100_000));
    expect((await wire.ask('GET /')).status).toBe(200);
  });

  test('an unknown expectation gets 417', async () => {
    using wire = await connect();
    expect((await wire.ask('GET /', { expect: 'miracles' })).status).toBe(417);
  });

  test('64 MiB to an app that reads slowly do not pile up in the worker', async () => {
    using wire = await connect();
    const mark = token();
    const part = Buffer.alloc(MiB, 'u');
    await wire.write(`POST /slow-read?token=${mark} HTTP/1.1\r\nhost: a\r\ncontent-length: ${large}\r\n\r\n`);
    for (let sent = 0; sent < large; sent += part.length) await wire.write(part);
    expect((await wire.response()).body).toBe(String(large));
    const { grown } = await server().waitFor('what the app received', (line) => line.token === mark);
    expect(grown).toBeLessThan(32);
  });

  test('64 MiB to a client that reads slowly do not pile up in the worker', async () => {
    using wire = await connect();
    const mark = token();
    await wire.request(`GET /bytes?n=${large}&token=${mark}`);
    expect((await wire.head()).status).toBe(200);
    for (let read = 0; read < large; read += 16 * MiB) {
      await new Promise((resolve) => setTimeout(resolve, 60)); // this client is slow, it waits for nothing
      expect(await wire.skip(16 * MiB)).toBe(16 * MiB);
    }
    const { grown } = await server().waitFor('what the app sent', (line) => line.token === mark);
    expect(grown).toBeLessThan(32);
    expect((await wire.ask('GET /')).body).toBe('ok');
  });
}
