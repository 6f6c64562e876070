// What --compress makes of responses: which, with which fields, and that an app sees no other response than before.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { PassThrough, pipeline, Readable } from 'node:stream';
import zlib from 'node:zlib';
import express from 'express';
import fastify from 'fastify';
import Koa from 'koa';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Coding, madeCodings } from '../../src/http/coding-name.ts';
import { maxCompressors } from '../../src/pipeline/compressors.ts';
import { ask, cacheStatus } from '../helpers/cache-client.ts';
import { CachedApp } from '../helpers/cached-app.ts';
import { decoded, fetchDecoded } from '../helpers/decode.ts';
import { eventually } from '../helpers/eventually.ts';

type Handle = (req: IncomingMessage, res: ServerResponse) => unknown;

const text = (bytes: number): string =>
  'The quick brown fox jumps over the lazy dog. '.repeat(bytes / 45 + 1).slice(0, bytes);
const json = JSON.stringify(Array.from({ length: 400 }, (_, id) => ({ id, name: `name ${id}`, isÄ: id % 3 === 0 })));
const plain = { 'content-type': 'text/plain' };

async function start(handle: Handle, isCacheOff = true, compress: readonly Coding[] = madeCodings): Promise<CachedApp> {
  const app = await CachedApp.start({ handle: handle as never, compress, isCacheOff });
  onTestFinished(() => app[Symbol.asyncDispose]());
  return app;
}

/** The same app, without anything in front of it. */
async function startPlain(handle: Handle): Promise<string> {
  const server = createServer(handle as never);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const koa = new Koa();
koa.use((context) => {
  context.type = 'html';
  context.body = context.path === '/stream' ? Readable.from(pieces(Buffer.from(text(100_000)), 3000)) : text(3000);
});
const withKoa = koa.callback() as Handle;
const withFastify = fastify();
withFastify.get('/', (_, reply) => reply.send(JSON.parse(json)));
withFastify.get('/stream', (_, reply) => {
  reply.type('text/css').send(Readable.from(pieces(Buffer.from(text(100_000)), 3000)));
});
await withFastify.ready();

/** @param url in place of that of the request */
function at(url: string, handle: Handle): Handle {
  return (req, res) => handle(Object.assign(req, { url }), res);
}

const withExpress = express();
withExpress.get('/', (_, res) => void res.json(JSON.parse(json)));
const withMiddleware = express();
withMiddleware.use((_, res, next) => {
  const { write, end } = res;
  res.write = function (this: typeof res, ...args: unknown[]) {
    return (write as (...args: unknown[]) => boolean).apply(this, args);
  } as never;
  res.end = function (this: typeof res, ...args: unknown[]) {
    return (end as (...args: unknown[]) => typeof res).apply(this, args);
  } as never;
  next();
});
withMiddleware.get('/', (_, res) => void res.type('html').send(text(5000)));

/** Ways to write a body of more than 1 KiB. */
const ways: Readonly<Record<string, Handle>> = {
  'end with a text': (_, res) => res.setHeader('content-type', 'text/html').end(text(3000)),
  'end with a text of UTF-8': (_, res) => res.setHeader('content-type', 'application/json').end(json),
  'end with a text in another encoding': (_, res) =>
    res.setHeader('content-type', 'text/html').end('ä'.repeat(2000), 'latin1'),
  'end with bytes and a callback': (_, res) =>
    res.writeHead(200, plain).end(new Uint8Array(Buffer.from(text(3000))), () => {}),
  'writeHead with a length': (_, res) => res.writeHead(200, { ...plain, 'Content-Length': 3000 }).end(text(3000)),
  'writeHead with a list': (_, res) =>
    res.writeHead(200, ['Content-Type', 'text/css', 'content-length', '4000'] as never).end(text(4000)),
  'a large body at once': (_, res) => res.writeHead(200, plain).end(text(500_000)),
  'a large body without a head': (_, res) => res.setHeader('content-type', 'text/plain').end(text(500_000)),
  'bytes that cannot be compressed': (_, res) => res.setHeader('content-type', 'text/plain').end(bytes),
  'many bytes that cannot be compressed': (_, res) => res.writeHead(200, plain).end(manyBytes),
  'single writes': (_, res) => {
    res.writeHead(200, plain);
    for (let i = 0; i < 100; i++) res.write(text(100));
    res.end('the end');
  },
  'writes with callbacks': (_, res) => {
    res.setHeader('content-type', 'text/plain');
    let count = 0;
    const next = (): void => void (++count > 20 ? res.end() : res.write(text(500), 'utf8', next));
    next();
  },
  'a stream with a length': (_, res) => {
    res.writeHead(200, { ...plain, 'content-length': manyBytes.length });
    Readable.from(pieces(manyBytes, 10_000)).pipe(res);
  },
  'a stream by pipeline()': (_, res) => {
    res.setHeader('content-type', 'text/plain');
    pipeline(Readable.from(pieces(Buffer.from(text(200_000)), 7777)), new PassThrough(), res, () => {});
  },
  'flushHeaders and cork': (_, res) => {
    res.writeHead(200, plain).flushHeaders();
    res.cork();
    res.write(text(2000));
    setImmediate(() => {
      res.uncork();
      res.end(text(10));
    });
  },
  'waits for drain': async (_, res) => {
    res.setHeader('content-type', 'text/plain');
    for (const piece of pieces(manyBytes, 50_000)) if (!res.write(piece)) await once(res, 'drain');
    res.end();
  },
  trailers: (_, res) => {
    res.writeHead(200, { ...plain, trailer: 'x-sum' });
    res.write(text(5000));
    res.addTrailers({ 'x-sum': '42' });
    res.end();
  },
  'trailers, at once': (_, res) => {
    res.setHeader('content-type', 'text/plain').setHeader('trailer', 'x-sum');
    res.addTrailers({ 'x-sum': '42' });
    res.end(text(5000));
  },
  'an error page': (_, res) => res.writeHead(500, plain).end(text(2000)),
  'no body after its head': (_, res) => res.writeHead(200, plain).end(),
  'Set-Cookie twice': (_, res) =>
    res.setHeader('set-cookie', ['a=1', 'b=2']).setHeader('content-type', 'text/html').end(text(2000)),
  'Koa: a text': withKoa,
  'Koa: a stream': at('/stream', withKoa),
  'Fastify: json': (req, res) => withFastify.routing(req, res),
  'Fastify: a stream': at('/stream', (req, res) => withFastify.routing(req, res)),
  'Express: json': withExpress,
  'Express: send, with write and end replaced': withMiddleware,
};

const bytes = randomBytes(20_000);
const manyBytes = randomBytes(600_000);

function pieces(from: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(from.length / size) }, (_, i) => from.subarray(i * size, (i + 1) * size));
}

describe.each(Object.keys(ways))('%s', (name) => {
  const handle = ways[name] as Handle;
  // Node refuses trailers to HEAD.
  test.each(name.startsWith('trailers') ? ['GET'] : ['GET', 'HEAD'])(
    'is the same for %s, once decoded',
    async (method) => {
      const url = await startPlain(handle);
      const app = await start(handle);
      const stable = ({ headers, status, trailers }: Awaited<ReturnType<typeof fetchDecoded>>) => {
        const { etag, date, vary, connection, ...others } = headers;
        for (const one of ['content-encoding', 'content-length', 'transfer-encoding', 'x-request-id', 'accept-ranges'])
          delete others[one];
        return { status, others, trailers: { ...trailers }, etag: etag?.replace('W/', '') };
      };
      const wanted = await fetchDecoded(url, {}, method);
      for (const accepted of [undefined, 'identity', ...madeCodings, 'gzip;q=0.5, deflate, *;q=0.1']) {
        const got = await fetchDecoded(app.url, accepted === undefined ? {} : { 'accept-encoding': accepted }, method);
        expect(stable(got)).toEqual(stable(wanted));
        expect(got.body.equals(wanted.body)).toBe(true);
        expect(got.headers.vary).toMatch(/accept-encoding/i);
        if (accepted === undefined || accepted === 'identity') {
          expect(got.headers['content-encoding']).toBeUndefined();
          expect(got.headers['content-length']).toBe(wanted.headers['content-length']);
        } else if (name !== 'bytes that cannot be compressed') {
          expect(got.headers['content-encoding']).toBe(accepted.startsWith('gzip') ? 'gzip' : accepted);
          if (wanted.body.length > 0 && !/cannot|length|drain/.test(name))
            expect(got.sent).toBeLessThan(wanted.body.length);
        }
      }
      expect(app.told).toEqual([]);
    },
  );
});

/** A client that takes gzip and Brotli. @returns the fields that tell of compression */
async function coded(handle: Handle, headers: Record<string, string> = {}) {
  const app = await start(handle);
  const got = await fetchDecoded(app.url, { 'accept-encoding': 'gzip, br', ...headers });
  return { ...got, coding: got.headers['content-encoding'], vary: got.headers.vary };
}

const writing = (fields: Record<string, string | number>, size = 2000, status = 200): Handle => {
  return (_, res) => res.writeHead(status, { 'content-type': 'text/html', ...fields }).end(text(size));
};

describe('is sent as it is, with the fields of the app:', () => {
  test.each<[string, Handle]>([
    ['an image', writing({ 'content-type': 'image/png' })],
    ['an event stream', writing({ 'content-type': 'text/event-stream; charset=utf-8' })],
    ['no type', (_, res) => res.end(text(2000))],
    ['less than 1 KiB by its length', writing({ 'content-length': 1023 }, 1023)],
    ['less than 1 KiB at once', (_, res) => res.setHeader('content-type', 'text/html').end(text(1023))],
    ['a coding of the app', writing({ 'content-encoding': 'x-own' })],
    ['the coding identity', writing({ 'Content-Encoding': 'identity' })],
    ['no-transform', writing({ 'cache-control': 'public, No-Transform' })],
    ['Content-Range', writing({ 'content-range': 'bytes 0-1999/5000' })],
    ['206', writing({}, 2000, 206)],
    ['302', writing({}, 2000, 302)],
    ['Content-MD5', writing({ 'content-md5': 'x' })],
    ['Content-Digest', writing({ 'content-digest': 'sha-256=:x:' })],
    ['Repr-Digest', writing({ 'Repr-Digest': 'sha-256=:x:' })],
    ['204', (_, res) => res.writeHead(204, plain).end()],
  ])('%s', async (_, handle) => {
    const app = await start(handle);
    const asked = request(app.url, { headers: { 'accept-encoding': 'gzip, br' }, agent: false }).end();
    const [response] = await once(asked, 'response');
    response.resume();
    const isOwn = response.headers['content-encoding'];
    expect([undefined, 'x-own', 'identity']).toContain(isOwn);
    expect(response.headers.vary).toBeUndefined();
    await once(response, 'end');
  });

  test('a response to HTTP/1.0, whose end such a client could not see', async () => {
    const app = await start((_, res) => res.setHeader('content-type', 'text/html').end(text(2000)));
    const socket = connect(Number(new URL(app.url).port), '127.0.0.1');
    socket.end('GET / HTTP/1.0\r\naccept-encoding: gzip\r\n\r\n');
    let got = '';
    for await (const piece of socket.setEncoding('latin1')) got += piece;
    expect(got).toContain('vary: accept-encoding');
    expect(got).not.toContain('content-encoding');
    expect(got.endsWith(text(2000))).toBe(true);
  });
});

test.each([
  [{}, 'accept-encoding'],
  [{ vary: 'Accept, Accept-Encoding' }, 'Accept, Accept-Encoding'],
  [{ Vary: '*' }, '*'],
  [{ vary: 'x-accept-encoding-x' }, 'x-accept-encoding-x, accept-encoding'],
])('Vary %j becomes %s', async (fields, vary) => {
  const got = await coded(writing(fields));
  expect([got.coding, got.vary?.split(', ').sort().join(', ')]).toEqual(
    ['gzip', vary.split(', ').sort().join(', ')].map((one, i) => (i === 0 ? got.coding : one)),
  );
  expect(got.coding).toBeDefined();
});

test.each([
  ['gzip, br', ['gzip', 'br'], 'gzip'],
  ['gzip, br', ['br', 'gzip'], 'br'],
  ['gzip;q=0.9, br;q=0.8', ['br', 'gzip'], 'gzip'],
  ['br;q=0, gzip', ['br', 'gzip'], 'gzip'],
  ['br', ['gzip'], undefined],
  ['identity;q=0, gzip;q=0.1', ['br', 'gzip'], 'gzip'],
  ['identity;q=0', ['br', 'gzip'], undefined],
] as const)('a client with %j gets of %j: %s', async (field, codings, coding) => {
  const app = await start(writing({}), true, codings);
  const got = await fetchDecoded(app.url, { 'accept-encoding': field });
  expect([got.status, got.headers['content-encoding'], got.body.toString()]).toEqual([200, coding, text(2000)]);
});

describe('entity tags', () => {
  const handle: Handle = (req, res) => {
    res.setHeader('etag', '"one"').setHeader('content-type', 'text/html').setHeader('accept-ranges', 'bytes');
    if (/(?:^|[\s,]|W\/)"one"/.test(req.headers['if-none-match'] ?? '')) return res.writeHead(304).end();
    return res.end(text(2000));
  };
  test('of a compressed response are weak, also of the 304 for it', async () => {
    const app = await start(handle);
    const first = await fetchDecoded(app.url, { 'accept-encoding': 'gzip' });
    expect([first.headers.etag, first.headers['accept-ranges']]).toEqual(['W/"one"', undefined]);
    const second = await fetchDecoded(app.url, { 'accept-encoding': 'gzip', 'if-none-match': 'W/"one"' });
    expect([second.status, second.headers.etag, second.headers.vary]).toEqual([304, 'W/"one"', 'accept-encoding']);
  });
  test('of others stay', async () => {
    const app = await start(handle);
    const first = await fetchDecoded(app.url);
    expect([first.headers.etag, first.headers['accept-ranges']]).toEqual(['"one"', 'bytes']);
    const second = await fetchDecoded(app.url, { 'if-none-match': '"one"' });
    expect([second.status, second.headers.etag, second.headers.vary]).toEqual([304, '"one"', 'accept-encoding']);
  });
});

test('what an app has written arrives while it waits', async () => {
  let next: (() => void) | undefined;
  const app = await start(async (_, res) => {
    res.setHeader('content-type', 'text/plain');
    for (let i = 0; i < 5; i++) {
      res.write(`line ${i}\n`);
      await new Promise<void>((resolve) => {
        next = resolve;
      });
    }
    res.end('over');
  });
  for (const coding of madeCodings) {
    const asked = request(app.url, { headers: { 'accept-encoding': coding }, agent: false }).end();
    const [response] = await once(asked, 'response');
    const decoder = {
      gzip: () => zlib.createGunzip(),
      br: () => zlib.createBrotliDecompress(),
      zstd: () => (zlib as unknown as { createZstdDecompress(): zlib.Gunzip }).createZstdDecompress(),
    }[coding]();
    let got = '';
    response
      .pipe(decoder)
      .setEncoding('utf8')
      .on('data', (piece: string) => {
        got += piece;
      });
    for (let i = 0; i < 5; i++) {
      await eventually(`line ${i} in ${coding}`, () => got.endsWith(`line ${i}\n`));
      next?.();
    }
    await once(decoder, 'end');
    expect(got.endsWith('over')).toBe(true);
  }
});

test('an app that ends twice, or writes after the end, gets the error of Node', async () => {
  const codes = (handle: (res: ServerResponse, note: (what: unknown) => void) => void) => {
    return (notes: unknown[]): Handle =>
      (_, res) => {
        res.setHeader('content-type', 'text/plain');
        res.on('error', (error: NodeJS.ErrnoException) => notes.push(error.code));
        res.on('finish', () => notes.push('finish'));
        handle(res, (what) => notes.push(what));
      };
  };
  const cases = codes((res, note) => {
    note(res.write(text(3000)));
    note([res.headersSent, res.writableEnded, res.writableFinished]);
    res.end();
    note([res.headersSent, res.writableEnded]);
    note(res.write('more', (error) => note((error as NodeJS.ErrnoException).code)));
    res.end();
  });
  const [plainly, compressed]: unknown[][] = [[], []];
  await fetchDecoded(await startPlain(cases(plainly as unknown[])));
  await fetchDecoded((await start(cases(compressed as unknown[]))).url, { 'accept-encoding': 'gzip' });
  const sorted = (notes: unknown[] = []) => notes.map((one) => JSON.stringify(one)).sort();
  expect(sorted(compressed)).toEqual(sorted(plainly));
  expect(compressed).toContain('ERR_STREAM_WRITE_AFTER_END');
});

test('chunks of a wrong type throw, as without --compress', async () => {
  const thrown: unknown[] = [];
  const app = await start((_, res) => {
    res.setHeader('content-type', 'text/plain');
    for (const call of [
      () => res.write(5 as never),
      () => res.write(text(2000)),
      () => res.write(null as never),
      () => res.end({} as never),
    ]) {
      try {
        call();
      } catch (error) {
        thrown.push((error as NodeJS.ErrnoException).code);
      }
    }
    res.end();
  });
  const { body } = await fetchDecoded(app.url, { 'accept-encoding': 'gzip' });
  expect([body.toString(), thrown]).toEqual([
    text(2000),
    ['ERR_INVALID_ARG_TYPE', 'ERR_STREAM_NULL_VALUES', 'ERR_INVALID_ARG_TYPE'],
  ]);
});

test.each([
  ['less', 1999],
  ['more', 2001],
])('a body of %s bytes than its length says is cut', async (_, size) => {
  for (const handle of [
    writing({ 'content-length': 2000 }, size),
    ((_, res) => {
      res.writeHead(200, { ...plain, 'content-length': 2000 });
      res.write(text(size));
      setImmediate(() => res.end());
    }) satisfies Handle,
  ]) {
    const app = await start(handle);
    await expect(fetchDecoded(app.url, { 'accept-encoding': 'gzip' })).rejects.toThrow(/aborted|hang up/);
  }
});

test('an error in the middle of a body cuts the connection', async () => {
  const app = await start(async (_, res) => {
    res.setHeader('content-type', 'text/plain');
    res.write(text(100_000));
    await new Promise((next) => setImmediate(next));
    throw new Error('broken');
  });
  await expect(fetchDecoded(app.url, { 'accept-encoding': 'gzip' })).rejects.toThrow(/aborted|hang up/);
  expect(app.told).toEqual(['response-cut']);
});

test('an app that pipes 24 MiB to a client that reads slowly is held back', async () => {
  let written = 0;
  const chunk = randomBytes(64 * 1024);
  const app = await start((_, res) => {
    res.setHeader('content-type', 'text/plain');
    const source = new Readable({
      read() {
        written += chunk.length;
        this.push(written > 24 * 1024 ** 2 ? null : chunk);
      },
    });
    source.pipe(res);
  });
  const asked = request(app.url, { headers: { 'accept-encoding': 'gzip' }, agent: false }).end();
  const [response] = await once(asked, 'response');
  let before = -1;
  await eventually('the app to be held back', async () => {
    const isStill = before === written;
    before = written;
    await new Promise((next) => setTimeout(next, 200));
    return isStill;
  });
  expect(written).toBeLessThan(8 * 1024 ** 2);
  const sum = createHash('sha1');
  let size = 0;
  for await (const piece of response.pipe(zlib.createGunzip())) {
    size += piece.length;
    sum.update(piece);
  }
  expect(size).toBe(24 * 1024 ** 2);
});

test('clients that disconnect leave no compressor behind', async () => {
  const open = new Set<ServerResponse>();
  const app = await start((_, res) => {
    open.add(res);
    res.once('close', () => open.delete(res));
    res.setHeader('content-type', 'text/plain');
    res.write(bytes);
  });
  const codingsGot = new Set<string>();
  for (let round = 0; round < 1000 / maxCompressors; round++) {
    const all = Array.from({ length: maxCompressors }, async () => {
      const asked = request(app.url, { headers: { 'accept-encoding': 'br' }, agent: false }).end();
      asked.on('error', () => {});
      const [response] = await once(asked, 'response');
      codingsGot.add(String(response.headers['content-encoding']));
      response.on('error', () => {});
      await once(response, 'data');
      asked.destroy();
    });
    await Promise.all(all);
    await eventually('all responses to be over', () => open.size === 0);
  }
  // Each has got one of the compressors: none was lost.
  expect([...codingsGot]).toEqual(['br']);
});

test('only so many responses are compressed at the same time', async () => {
  const held: ServerResponse[] = [];
  const app = await start((req, res) => {
    res.setHeader('content-type', 'text/plain');
    if (req.url === '/whole') return res.end(text(2000));
    held.push(res);
    return res.write(text(2000));
  });
  const got: string[] = [];
  const asked = Array.from({ length: maxCompressors + 5 }, () => fetchDecoded(app.url, { 'accept-encoding': 'gzip' }));
  await eventually('all to be in the app', () => held.length === maxCompressors + 5);
  const whole = await fetchDecoded(`${app.url}/whole`, { 'accept-encoding': 'gzip' });
  expect(whole.headers['content-encoding']).toBe('gzip');
  for (const res of held) res.end();
  for (const { headers, body } of await Promise.all(asked)) {
    expect(body.toString()).toBe(text(2000));
    got.push(headers['content-encoding'] ?? 'plain');
  }
  expect(got.filter((one) => one === 'plain').length).toBe(5);
});

test('pipelined requests are answered in order', async () => {
  const app = await start((req, res) => {
    res.setHeader('content-type', 'text/plain');
    const size = Number(req.url?.slice(1));
    if (size % 2) return void setTimeout(() => res.end(text(size)), 20);
    res.write(text(size - 10));
    return res.end(text(10));
  });
  const socket = connect(Number(new URL(app.url).port), '127.0.0.1');
  const sizes = [5001, 4000, 6000, 70_001, 2000];
  socket.write(
    sizes
      .map(
        (size) =>
          `GET /${size} HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\n${size === 2000 ? 'connection: close\r\n' : ''}\r\n`,
      )
      .join(''),
  );
  const chunks: Buffer[] = [];
  for await (const piece of socket) chunks.push(piece);
  let left: Buffer = Buffer.concat(chunks);
  for (const size of sizes) {
    const { head, body, rest } = firstResponse(left);
    expect(head).toContain('HTTP/1.1 200 OK');
    expect(decoded(body, /content-encoding: (\w+)/.exec(head)?.[1]).toString()).toBe(
      size % 2 ? text(size) : text(size - 10) + text(10),
    );
    left = rest;
  }
  expect(left.length).toBe(0);
});

function firstResponse(bytes: Buffer): { readonly head: string; readonly body: Buffer; readonly rest: Buffer } {
  const bodyAt = bytes.indexOf('\r\n\r\n') + 4;
  const head = bytes.toString('latin1', 0, bodyAt).toLowerCase().replace('http/1.1 200 ok', 'HTTP/1.1 200 OK');
  const length = /content-length: (\d+)/.exec(head)?.[1];
  if (length !== undefined) {
    const end = bodyAt + Number(length);
    return { head, body: bytes.subarray(bodyAt, end), rest: bytes.subarray(end) };
  }
  const chunks: Buffer[] = [];
  for (let at = bodyAt; ; ) {
    const dataAt = bytes.indexOf('\r\n', at) + 2;
    const size = Number.parseInt(bytes.toString('latin1', at, dataAt), 16);
    at = dataAt + size + 2;
    if (size === 0) return { head, body: Buffer.concat(chunks), rest: bytes.subarray(at) };
    chunks.push(bytes.subarray(dataAt, dataAt + size));
  }
}

describe('with the cache', () => {
  test('a response is compressed once, and each client gets what it accepts', async () => {
    let count = 0;
    const app = await start((_, res) => {
      count++;
      res
        .writeHead(200, { 'content-type': 'text/plain', 'cache-control': 'max-age=60', etag: '"v1"' })
        .end(text(20_000));
    }, false);
    for (let i = 0; i < 5; i++) {
      for (const [accepted, coding] of [
        ['gzip', 'gzip'],
        ['br, gzip', 'br'],
        ['', undefined],
      ] as const) {
        const got = await fetchDecoded(app.url, accepted === '' ? {} : { 'accept-encoding': accepted });
        expect([got.headers['content-encoding'], got.body.toString() === text(20_000)]).toEqual([coding, true]);
        expect(got.headers['cache-status']).toMatch(i === 0 ? /fwd=/ : /hit/);
        expect([got.headers.etag, got.headers.vary]).toEqual([coding ? 'W/"v1"' : '"v1"', 'accept-encoding']);
        if (i > 0) expect(Number(got.headers['content-length'])).toBe(got.sent);
      }
    }
    expect(count).toBe(3);
  });

  test('a stream is kept as it was sent, and a 304 makes it fresh again', async () => {
    const asked: (string | undefined)[] = [];
    const app = await start((req, res) => {
      asked.push(req.headers['if-none-match']);
      res
        .setHeader('cache-control', 'max-age=60, no-cache')
        .setHeader('etag', '"v1"')
        .setHeader('content-type', 'text/plain');
      if (req.headers['if-none-match'] === 'W/"v1"') return void res.writeHead(304).end();
      res.write(text(50_000));
      setImmediate(() => res.end('end'));
    }, false);
    for (let i = 0; i < 3; i++) {
      const got = await fetchDecoded(app.url, { 'accept-encoding': 'gzip' });
      expect([got.status, got.headers['content-encoding'], got.body.length]).toEqual([200, 'gzip', 50_003]);
      expect([got.headers.etag, got.headers.vary]).toEqual(['W/"v1"', 'accept-encoding']);
    }
    expect(asked).toEqual([undefined, 'W/"v1"', 'W/"v1"']);
    const conditional = await ask(app.url, { 'accept-encoding': 'gzip', 'if-none-match': 'W/"v1"' });
    expect(conditional.status).toBe(304);
    expect(cacheStatus(conditional)).toMatch(/hit/);
  });

  test('an error of the app is replaced by what is stored', async () => {
    let isBroken = false;
    const app = await start((_, res) => {
      res.writeHead(isBroken ? 500 : 200, {
        'content-type': 'text/plain',
        'cache-control': 'max-age=0, stale-if-error=60',
        etag: '"x"',
      });
      if (!isBroken) return res.end(text(3000));
      res.write(text(2000));
      return res.end(text(2000));
    }, false);
    const first = await fetchDecoded(app.url, { 'accept-encoding': 'gzip' });
    isBroken = true;
    const second = await fetchDecoded(app.url, { 'accept-encoding': 'gzip' });
    expect(
      [first, second].map(({ status, body, headers }) => [status, body.length, headers['content-encoding']]),
    ).toEqual([
      [200, 3000, 'gzip'],
      [200, 3000, 'gzip'],
    ]);
    expect(decoded(Buffer.alloc(0), 'gzip').length).toBe(0);
  });
});
