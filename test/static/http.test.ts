// What RFC 9110 says of validators, conditional requests and ranges (sections 8.8, 13, 14), and of content codings and
// methods, over a directory of files.

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { renameSync } from 'node:fs';
import net from 'node:net';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { connect, type Response } from '../helpers/wire.ts';
import { ask as askAt, type FileServer, Folder, longAgo, serveFolder } from './site.ts';

const large = randomBytes(700_000);
const script = 'console.log("hello");\n'.repeat(100);
const longScript = 'console.log("hello", 1);\n'.repeat(20_000);
const lastModified = longAgo.toUTCString();
const before = new Date(longAgo.getTime() - 1000).toUTCString();
const after = new Date(longAgo.getTime() + 1000).toUTCString();

let folder: Folder;
let server: FileServer;
beforeAll(async () => {
  folder = new Folder({
    'index.html': '<p>home</p>',
    'digits.txt': '0123456789',
    'empty.txt': '',
    'large.bin': large,
    'image.png': 'x'.repeat(5000),
    'script.js': script,
    'long.js': longScript,
    'tiny.js': 'x'.repeat(1024),
    'noise.txt': randomBytes(4000),
    'built.css': 'b{}'.repeat(1000),
    'built.css.br': 'the br file',
    'built.css.zst': 'the zst file',
    'built.css.gz': 'the gz file',
    'only.css': 'o{}'.repeat(1000),
    'only.css.gz': 'the only file',
    'sub dir/index.html': '<p>sub</p>',
    'bare/file.txt': 'in a directory without a page',
  });
  server = await serveFolder(folder);
});
afterAll(async () => {
  await server.stop();
  folder[Symbol.dispose]();
});

const ask = (line: string, headers?: Readonly<Record<string, string>>): Promise<Response> =>
  askAt(server.url, line, headers);
const etagOf = async (name: string, headers = {}): Promise<string> =>
  (await ask(`GET /${name}`, headers)).headers.etag ?? '';
const bytesOf = ({ body }: Response): Buffer => Buffer.from(body, 'latin1');

describe('representations', () => {
  test.each([
    ['/', '<p>home</p>', 'text/html; charset=utf-8'],
    ['/?a=b', '<p>home</p>', 'text/html; charset=utf-8'],
    ['/index.html', '<p>home</p>', 'text/html; charset=utf-8'],
    ['/sub%20dir/', '<p>sub</p>', 'text/html; charset=utf-8'],
    ['//digits.txt', '0123456789', 'text/plain; charset=utf-8'],
    ['/%64igits.txt', '0123456789', 'text/plain; charset=utf-8'],
    ['http://test/digits.txt?x', '0123456789', 'text/plain; charset=utf-8'],
    ['/script.js', script, 'text/javascript; charset=utf-8'],
    ['/empty.txt', '', 'text/plain; charset=utf-8'],
  ])('GET %s', async (target, body, type) => {
    const response = await ask(`GET ${target}`);
    expect(response).toMatchObject({ status: 200, body });
    expect(response.headers).toMatchObject({ 'content-type': type, 'content-length': String(body.length) });
  });

  test('a large file is whole, also after another one on the same connection', async () => {
    using client = await connect(server.url);
    for (let i = 0; i < 3; i++) {
      const response = await client.ask('GET /large.bin');
      expect(response.headers['content-type']).toBe('application/octet-stream');
      expect(bytesOf(response).equals(large)).toBe(true);
      expect((await client.ask('GET /digits.txt')).body).toBe('0123456789');
    }
  });

  test('requests for large and small files in one packet are answered in their order', async () => {
    using client = await connect(server.url);
    const names = ['large.bin', 'digits.txt', 'nothing', 'large.bin', 'index.html'];
    await client.write(names.map((name) => `GET /${name} HTTP/1.1\r\nhost: test\r\n\r\n`).join(''));
    const lengths: number[] = [];
    for (const _ of names) lengths.push((await client.response()).body.length);
    expect(lengths).toEqual([large.length, 10, expect.any(Number), large.length, 11]);
  });

  test.each(['digits.txt', 'large.bin', 'script.js'])(
    'HEAD /%s has the fields of GET and no body (9.3.2)',
    async (name) => {
      const [got, head] = [await ask(`GET /${name}`), await ask(`HEAD /${name}`)];
      const { 'x-request-id': _, date: __, ...fields } = got.headers;
      expect(head).toMatchObject({ status: 200, headers: fields });
    },
  );

  test('HEAD has no body on a connection that goes on', async () => {
    using client = await connect(server.url);
    await client.ask('HEAD /large.bin');
    expect((await client.ask('GET /digits.txt')).body).toBe('0123456789');
  });

  test('a directory without a slash is redirected to the one with it, with its query', async () => {
    expect(await ask('GET /sub%20dir?a=b')).toMatchObject({ status: 301, headers: { location: '/sub%20dir/?a=b' } });
  });

  test('a pipe and a socket are no files, and nothing waits for them', async () => {
    execFileSync('mkfifo', [folder.path('pipe.txt')]);
    const listening = net.createServer().listen(folder.path('socket.txt'));
    await once(listening, 'listening');
    for (const name of ['pipe.txt', 'socket.txt']) expect((await ask(`GET /${name}`)).status).toBe(404);
    listening.close();
  });

  test('a redirect never names another host', async () => {
    const { status, headers } = await ask('GET //sub%20dir');
    expect([status, headers.location]).toEqual([301, '/sub%20dir/']);
  });

  test.each(['/nothing', '/digits.txt/', '/bare', '/bare/', '/sub%20dir/nothing', '/.hidden', '/sub%2fdir'])(
    'GET %s is a 404',
    async (target) => {
      expect((await ask(`GET ${target}`)).status).toBe(404);
    },
  );

  test.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])(
    '%s is a 405 that names what is allowed (15.5.6)',
    async (method) => {
      for (const name of ['digits.txt', 'large.bin'])
        expect(await ask(`${method} /${name}`)).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
    },
  );

  test('a POST with a body that is not allowed leaves the connection in order, or closes it', async () => {
    using client = await connect(server.url);
    await client.request('POST /digits.txt', {}, 'x'.repeat(1000));
    expect((await client.response()).status).toBe(405);
  });
});

describe('validators (8.8)', () => {
  test.each(['digits.txt', 'large.bin'])('/%s has a strong entity tag, a date, and ranges', async (name) => {
    const { headers } = await ask(`GET /${name}`);
    expect(headers.etag).toMatch(/^"[\x21\x23-\x7e]+"$/);
    expect(headers).toMatchObject({ 'last-modified': lastModified, 'accept-ranges': 'bytes' });
  });

  test.each([4, 300_000])('other bytes of the same size (%i) and time have another entity tag', async (size) => {
    const name = `twin-${size}.txt`;
    folder.put(name, 'a'.repeat(size));
    const first = await etagOf(name);
    folder.put('next.txt', 'b'.repeat(size));
    renameSync(folder.path('next.txt'), folder.path(name));
    const second = await eventually('the other bytes', async () => {
      const { body, headers } = await ask(`GET /${name}`);
      expect(headers.etag === first).toBe(body.startsWith('a'));
      return body.startsWith('b') && headers;
    });
    expect(second).toMatchObject({ 'last-modified': lastModified, 'content-length': String(size) });
  });

  test('a date in the future is sent as now (8.8.2.1)', async () => {
    folder.put('future.txt', 'x', new Date(Date.now() + 3_600_000));
    const { headers } = await ask('GET /future.txt');
    expect(Date.parse(headers['last-modified'] ?? '')).toBeLessThanOrEqual(Date.now());
  });
});

describe.each(['digits.txt', 'large.bin'])('conditions (13), /%s', (name) => {
  test('If-None-Match: the same tag gets 304 with the validators and no body', async () => {
    const etag = await etagOf(name);
    const response = await ask(`GET /${name}`, { 'if-none-match': etag });
    expect(response).toMatchObject({ status: 304, body: '', headers: { etag } });
    expect(response.headers['content-type']).toBeUndefined();
  });

  test.each([
    ['compares weakly (13.1.2)', (etag: string) => `W/${etag}`, 304],
    ['is a list', (etag: string) => `"a,b" , W/"c",${etag}`, 304],
    ['may be an asterisk', () => '*', 304],
    ['of another version gets 200', () => '"other"', 200],
    ['of nothing gets 200', () => '', 200],
    ['is no substring', (etag: string) => `"x${etag.slice(1)}`, 200],
  ])('If-None-Match %s', async (_, field, status) => {
    const value = field(await etagOf(name));
    expect((await ask(`GET /${name}`, { 'if-none-match': value })).status).toBe(status);
    expect((await ask(`HEAD /${name}`, { 'if-none-match': value })).status).toBe(status);
  });

  test.each([
    ['the same date', lastModified, 304],
    ['a later date', after, 304],
    ['an earlier date', before, 200],
    ['no date', 'yesterday', 200],
    ['a number', '1', 200],
    ['a date of RFC 850', 'Tuesday, 05-Mar-24 06:07:08 GMT', 304],
    ['a date of asctime', 'Tue Mar  5 06:07:08 2024', 304],
  ])('If-Modified-Since: %s', async (_, date, status) => {
    expect((await ask(`GET /${name}`, { 'if-modified-since': date })).status).toBe(status);
  });

  test('If-Modified-Since does not count beside If-None-Match (13.1.3)', async () => {
    const headers = { 'if-none-match': '"other"', 'if-modified-since': after };
    expect((await ask(`GET /${name}`, headers)).status).toBe(200);
  });

  test('If-Match compares strongly (13.1.1)', async () => {
    const etag = await etagOf(name);
    const status = async (value: string) => (await ask(`GET /${name}`, { 'if-match': value })).status;
    expect(await Promise.all([etag, '*', `"a", ${etag}`, `W/${etag}`, '"other"'].map(status))).toEqual([
      200, 200, 200, 412, 412,
    ]);
  });

  test('If-Unmodified-Since: an earlier date gets 412', async () => {
    const status = async (value: string) => (await ask(`GET /${name}`, { 'if-unmodified-since': value })).status;
    expect(await Promise.all([before, lastModified, after, 'never'].map(status))).toEqual([412, 200, 200, 200]);
  });

  test('If-Match comes before If-None-Match (13.2.2)', async () => {
    const etag = await etagOf(name);
    expect((await ask(`GET /${name}`, { 'if-match': '"other"', 'if-none-match': etag })).status).toBe(412);
  });

  test('a condition comes before the range (13.2.2)', async () => {
    const etag = await etagOf(name);
    expect((await ask(`GET /${name}`, { 'if-none-match': etag, range: 'bytes=0-1' })).status).toBe(304);
  });
});

describe.each([
  ['digits.txt', Buffer.from('0123456789')],
  ['large.bin', large],
])('ranges (14), /%s', (name, content) => {
  const size = content.length;
  test.each([
    ['bytes=2-4', 2, 5],
    ['bytes=0-0', 0, 1],
    ['bytes=5-', 5, size],
    ['bytes=-3', size - 3, size],
    [`bytes=-${size + 100}`, 0, size],
    [`bytes=7-${size + 100}`, 7, size],
    ['BYTES=2-4', 2, 5],
    ['bytes= 2-4 ', 2, 5],
    [`bytes=2-4,${size}-`, 2, 5],
  ])('%s gets 206 and those bytes', async (range, start, end) => {
    const response = await ask(`GET /${name}`, { range });
    expect(response.status).toBe(206);
    expect(response.headers).toMatchObject({
      'content-range': `bytes ${start}-${end - 1}/${size}`,
      'content-length': String(end - start),
      etag: await etagOf(name),
    });
    expect(bytesOf(response).equals(content.subarray(start, end))).toBe(true);
  });

  test.each([`bytes=${size}-`, `bytes=${size + 5}-${size + 9}`, 'bytes=-0', `bytes=${size}-,-0`])(
    '%s gets 416 and the size (15.5.17)',
    async (range) => {
      const response = await ask(`GET /${name}`, { range });
      expect(response).toMatchObject({ status: 416, headers: { 'content-range': `bytes */${size}` } });
      expect(response.headers.etag).toBeUndefined();
    },
  );

  test.each([
    'bytes=4-2',
    'bytes=',
    'bytes=a-b',
    'bytes=1x-3',
    'bytes=--1',
    'bytes=-',
    'lines=0-1',
    '0-1',
    'bytes=1-2-3',
    ',',
  ])('%s is ignored (14.2)', async (range) => {
    expect(await ask(`GET /${name}`, { range })).toMatchObject({
      status: 200,
      headers: { 'content-length': `${size}` },
    });
  });

  test('a range of HEAD is ignored (14.2)', async () => {
    expect((await ask(`HEAD /${name}`, { range: 'bytes=0-1' })).status).toBe(200);
  });

  test('several ranges get one response of parts, in their order (14.6)', async () => {
    const response = await ask(`GET /${name}`, { range: 'bytes=5-6, 0-1,-1' });
    expect(response.status).toBe(206);
    expect(response.headers['content-range']).toBeUndefined();
    const boundary = /^multipart\/byteranges; boundary=(\S+)$/.exec(response.headers['content-type'] ?? '')?.[1] ?? '';
    expect(response.headers['content-length']).toBe(String(response.body.length));
    const parts = response.body.split(`--${boundary}`).slice(1, -1);
    expect(response.body.endsWith(`\r\n--${boundary}--\r\n`)).toBe(true);
    const read = parts.map((part) => {
      const [head = '', ...body] = part.slice(2).split('\r\n\r\n');
      return [/content-range: (.*)/i.exec(head)?.[1], body.join('\r\n\r\n').slice(0, -2)];
    });
    const text = (start: number, end: number) => content.toString('latin1', start, end);
    expect(read).toEqual([
      [`bytes 5-6/${size}`, text(5, 7)],
      [`bytes 0-1/${size}`, text(0, 2)],
      [`bytes ${size - 1}-${size - 1}/${size}`, text(size - 1, size)],
    ]);
  });

  test('ranges that are larger than the file together, or too many, get the file (14.2)', async () => {
    for (const range of ['bytes=0-,0-,0-', `bytes=${Array(1000).fill('0-0').join()}`])
      expect(await ask(`GET /${name}`, { range })).toMatchObject({
        status: 200,
        headers: { 'content-length': `${size}` },
      });
  });

  test('If-Range: the same tag gets the range, compared strongly (13.1.5)', async () => {
    const etag = await etagOf(name);
    const status = async (value: string) =>
      (await ask(`GET /${name}`, { range: 'bytes=0-1', 'if-range': value })).status;
    expect(await Promise.all([etag, `W/${etag}`, '"other"', lastModified, after, before, 'x'].map(status))).toEqual([
      206, 200, 200, 206, 200, 200, 200,
    ]);
  });

  test('If-Range without a range gets the file', async () => {
    expect((await ask(`GET /${name}`, { 'if-range': await etagOf(name) })).status).toBe(200);
  });
});

test('a range of an empty file gets 416', async () => {
  expect(await ask('GET /empty.txt', { range: 'bytes=0-' })).toMatchObject({
    status: 416,
    headers: { 'content-range': 'bytes */0' },
  });
});

describe('content codings (12.5.3)', () => {
  test.each([
    ['br', 'br'],
    ['zstd', 'zst'],
    ['gzip', 'gz'],
    ['gzip, deflate, br, zstd', 'br'],
    ['gzip, zstd', 'zst'],
    ['gzip;q=1, br;q=0.5', 'gz'],
    ['gzip;q=0.3, br;q=0.2, zstd;q=0.8', 'zst'],
    ['br;q=0, gzip', 'gz'],
    ['*', 'br'],
    ['*;q=0.5, br;q=0', 'zst'],
    ['GZIP', 'gz'],
  ])('Accept-Encoding: %s gets the .%s file', async (field, extension) => {
    const response = await ask('GET /built.css', { 'accept-encoding': field });
    expect(response).toMatchObject({ status: 200, body: `the ${extension} file` });
    expect(response.headers).toMatchObject({
      'content-type': 'text/css; charset=utf-8',
      'content-encoding': { br: 'br', zst: 'zstd', gz: 'gzip' }[extension],
      vary: expect.stringMatching(/^accept-encoding$/i),
    });
  });

  test.each(['', 'identity', 'deflate', 'gzip;q=0', 'identity;q=1, gzip;q=0.5', '*;q=0', 'br;q=x'])(
    'Accept-Encoding: %s gets the file itself',
    async (field) => {
      const { headers } = await ask('GET /built.css', { 'accept-encoding': field });
      expect(headers['content-encoding']).toBeUndefined();
      expect(headers).toMatchObject({ 'content-length': '3000', vary: expect.stringMatching(/^accept-encoding$/i) });
    },
  );

  test('without Accept-Encoding a client gets the file itself', async () => {
    expect((await ask('GET /built.css')).headers['content-encoding']).toBeUndefined();
  });

  test('a file that is there comes before one that would have to be made', async () => {
    expect((await ask('GET /only.css', { 'accept-encoding': 'br, gzip' })).body).toBe('the only file');
  });

  test.each(['script.js', 'long.js'])('/%s is compressed on the fly', async (name) => {
    const content = name === 'long.js' ? longScript : script;
    const br = await ask(`GET /${name}`, { 'accept-encoding': 'br, gzip' });
    expect(br.headers).toMatchObject({ 'content-encoding': 'br', vary: expect.stringMatching(/^accept-encoding$/i) });
    expect(brotliDecompressSync(bytesOf(br)).toString()).toBe(content);
    const gzip = await ask(`GET /${name}`, { 'accept-encoding': 'gzip' });
    expect(gunzipSync(bytesOf(gzip)).toString()).toBe(content);
  });

  test.each(['tiny.js', 'image.png', 'noise.txt'])('/%s is not: it would not get smaller', async (name) => {
    expect((await ask(`GET /${name}`, { 'accept-encoding': 'br, gzip' })).headers['content-encoding']).toBeUndefined();
  });

  test('each coding has an entity tag of its own (8.8.3.3), which If-None-Match tells apart', async () => {
    for (const name of ['built.css', 'script.js']) {
      const fields = ['identity', 'br', 'gzip'].map((coding) => ({ 'accept-encoding': coding }));
      const tags = await Promise.all(fields.map((field) => etagOf(name, field)));
      expect(new Set(tags).size).toBe(3);
      for (const [i, field] of fields.entries()) {
        const statuses = tags.map(
          async (etag) => (await ask(`GET /${name}`, { ...field, 'if-none-match': etag })).status,
        );
        expect(await Promise.all(statuses)).toEqual(tags.map((_, j) => (i === j ? 304 : 200)));
      }
    }
  });

  test('a 304 has Vary (15.4.5)', async () => {
    const field = { 'accept-encoding': 'br' };
    const response = await ask('GET /script.js', { ...field, 'if-none-match': await etagOf('script.js', field) });
    expect(response.headers.vary).toMatch(/^accept-encoding$/i);
  });

  test('a range is one of the compressed bytes (14)', async () => {
    const field = { 'accept-encoding': 'br' };
    const whole = await ask('GET /script.js', field);
    const part = await ask('GET /script.js', { ...field, range: 'bytes=3-7', 'if-range': whole.headers.etag ?? '' });
    expect(part).toMatchObject({ status: 206, body: whole.body.slice(3, 8), headers: { 'content-encoding': 'br' } });
  });

  test('a type that is compressed already has no Vary', async () => {
    expect((await ask('GET /image.png')).headers.vary).toBeUndefined();
  });
});
