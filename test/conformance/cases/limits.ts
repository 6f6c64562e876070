// Limits and timeouts. They must hold of connections that were handed over as they do of accepted ones. The cases
// run at the same time: each waits for a timer of the server.
import { expect, test } from 'vitest';
import { echoed, type Place, token } from '../target.js';

// Each is far enough from what the machine may be late by, and all are over in two seconds.
export const tight = {
  headerTimeout: 600,
  requestTimeout: 1200,
  keepAliveTimeout: 500,
  maxHeaderSize: 4096,
  maxBodySize: 20_000,
  maxRequestsPerConnection: 3,
} as const;

export function limits({ connect, has, server }: Place): void {
  test('headers above --max-header-size get 431', async () => {
    using wire = await connect();
    await wire.request('GET /', { 'x-large': 'x'.repeat(tight.maxHeaderSize) });
    expect((await wire.head()).status).toBe(431);
    await wire.rest();
  });

  test('headers that take longer than --header-timeout get 408', async () => {
    using wire = await connect();
    await wire.write('GET / HTTP/1.1\r\nhost: a\r\n');
    expect((await wire.head()).status).toBe(408);
    await wire.rest();
  });

  test('dribbling does not prolong --header-timeout', async () => {
    using wire = await connect();
    await wire.write('GET / HTTP/1.1\r\nhost: a\r\n');
    const dribble = setInterval(() => wire.socket.writable && wire.socket.write('x-a: b\r\n'), 100);
    try {
      await wire.rest(); // what is sent after the server has closed resets the connection, and can cost us the 408
    } finally {
      clearInterval(dribble);
    }
  });

  test('a connection on which nothing ever comes is closed', async () => {
    using wire = await connect();
    await wire.rest();
  });

  test('a request that takes longer than --request-timeout gets 408', async () => {
    using wire = await connect();
    await wire.write('POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nbegun');
    expect((await wire.head()).status).toBe(408);
    await wire.rest();
  });

  test('--request-timeout is for requests: an answer may take longer', async () => {
    using wire = await connect();
    expect((await wire.ask(`GET /wait?ms=${tight.requestTimeout * 2}`)).body).toBe('waited');
  });

  test('an idle connection is closed after --keep-alive-timeout', async () => {
    using wire = await connect();
    expect((await wire.ask('GET /')).headers.connection).toBe('keep-alive');
    expect(await wire.rest()).toHaveLength(0);
  });

  test('after --max-requests-per-connection the last answer says so and the connection ends', async () => {
    using wire = await connect();
    for (let i = 1; i < tight.maxRequestsPerConnection; i++) {
      expect((await wire.ask('GET /')).headers.connection).toBe('keep-alive');
    }
    expect(await wire.ask('GET /')).toMatchObject({ status: 200, body: 'ok', headers: { connection: 'close' } });
    await wire.rest();
  });

  if (!has('body limit')) return;

  test('a body up to --max-body-size is taken', async () => {
    using wire = await connect();
    const response = await wire.ask('POST /echo', {}, 'x'.repeat(tight.maxBodySize));
    expect(echoed(response).body).toHaveLength(tight.maxBodySize);
  });

  test('a length above --max-body-size gets 413 and the app never hears of it', async () => {
    const [refused, taken] = [token(), token()];
    using wire = await connect();
    await wire.write(
      `POST /called?token=${refused} HTTP/1.1\r\nhost: a\r\ncontent-length: ${tight.maxBodySize + 1}\r\n\r\n`,
    );
    expect((await wire.head()).status).toBe(413);
    using next = await connect();
    await next.ask(`GET /called?token=${taken}`);
    await server().waitFor('the app to be called', (line) => line.token === taken);
    expect(server().lines.some((line) => line.token === refused)).toBe(false);
  });

  test('chunks that pass --max-body-size get 413', async () => {
    using wire = await connect();
    await wire.write('POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n');
    const part = 'x'.repeat(5000);
    for (let sent = 0; sent <= tight.maxBodySize; sent += part.length) {
      await wire.write(`${part.length.toString(16)}\r\n${part}\r\n`);
    }
    expect((await wire.head()).status).toBe(413);
    await wire.rest();
  });
}
