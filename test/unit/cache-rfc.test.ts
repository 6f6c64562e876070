// A shared cache as RFC 9111, RFC 5861 and RFC 9211 have it; the sections are those of RFC 9111 unless another one is named.
// What the public suite asks for is in `lifecycle/cache-suite.test.ts`.
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { ask, cacheStatus } from '../helpers/cache-client.ts';
import { CachedApp, type CachedAppOptions } from '../helpers/cached-app.ts';
import { eventually } from '../helpers/eventually.ts';

type Answer = (req: IncomingMessage, res: ServerResponse, count: number) => unknown;

/** An app that counts its requests. */
async function serve(answer: Answer, options: Omit<CachedAppOptions, 'handle'> = {}) {
  const seen: IncomingMessage[] = [];
  const app = await CachedApp.start({
    handle: (req, res) => answer(req, res as ServerResponse, seen.push(req)),
    ...options,
  });
  return Object.assign(app, { seen });
}

/** Answers each time with another body and these headers. */
const answering =
  (headers: Record<string, string>): Answer =>
  (_req, res, count) => {
    for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
    res.end(`body ${count}`);
  };

describe('3: storing responses', () => {
  test.each([
    ['max-age=60', true],
    ['s-maxage=60', true],
    ['public', false],
    ['no-store', false],
    ['no-store, max-age=60', false],
    ['private, max-age=60', false],
    ['private="x-secret", max-age=60', false],
    ['MAX-AGE=60', true],
    ['max-age="60"', true],
    ['max-age=60, max-age=0', true],
    ['max-age=sixty', false],
    ['must-understand, no-store, max-age=60', true],
  ])('Cache-Control: %s is used again: %s', async (value, isStored) => {
    await using app = await serve(answering({ 'cache-control': value }));
    await ask(app.url);
    expect(cacheStatus(await ask(app.url))).toBe(isStored ? 'hit' : 'fwd=uri-miss');
  });

  test('3.3: a body that is shorter than its Content-Length is not stored', async () => {
    await using app = await serve((req, res) => {
      res.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': 9 });
      res.end('short', () => req.socket.destroy());
    });
    await ask(app.url).catch(() => {});
    await ask(app.url).catch(() => {});
    expect(app.seen).toHaveLength(2);
  });

  test('3.5: a response to credentials is stored only if it says so', async () => {
    await using app = await serve((req, res, count) => {
      res.setHeader('cache-control', req.url === '/all' ? 'public, max-age=60' : 'max-age=60');
      res.end(String(count));
    });
    const headers = { authorization: 'Bearer secret' };
    await ask(`${app.url}/one`, headers);
    expect(cacheStatus(await ask(`${app.url}/one`, headers))).toBe('fwd=uri-miss');
    await ask(`${app.url}/all`, headers);
    expect(cacheStatus(await ask(`${app.url}/all`))).toBe('hit');
  });

  test('7.3: Set-Cookie is not stored, unless --cache-set-cookie says so', async () => {
    const answer = answering({ 'cache-control': 'public, max-age=60', 'set-cookie': 'a=b' });
    await using app = await serve(answer);
    await ask(app.url);
    expect((await ask(app.url)).body).toBe('body 2');
    await using other = await serve(answer, { rules: { cacheSetCookie: true } });
    await ask(other.url);
    expect(await ask(other.url)).toMatchObject({ body: 'body 1', headers: { 'set-cookie': ['a=b'] } });
  });

  test('an event stream is not recorded', async () => {
    await using app = await serve((_req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'max-age=60' });
      res.end('data: x\n\n');
    });
    await ask(app.url);
    await ask(app.url);
    expect(app.seen).toHaveLength(2);
  });
});

describe('4: using stored responses', () => {
  test('2: the host, the query, and where a proxy says the client came to belong to the key', async () => {
    await using app = await serve(answering({ 'cache-control': 'max-age=60' }));
    const all = [
      [app.url, {}],
      [`${app.url}/?a`, {}],
      [app.url, { host: 'other.example' }],
      [app.url, { 'x-forwarded-host': 'evil.example' }],
      [app.url, { 'x-forwarded-proto': 'https' }],
      [app.url, { 'x-host': 'evil.example' }],
      [app.url, { 'x-forwarded-ssl': 'on' }],
      [app.url, { 'x-http-host-override': 'evil.example' }],
      [app.url, { forwarded: 'for=192.0.2.1;host=evil.example' }],
    ] as const;
    for (const [url, headers] of all) await ask(url, headers);
    expect(app.seen).toHaveLength(all.length);
    const same = { forwarded: 'for=192.0.2.9;host=evil.example' };
    expect(cacheStatus(await ask(app.url, same))).toBe('hit');
    for (const [url, headers] of all) expect(cacheStatus(await ask(url, headers))).toBe('hit');
  });

  test('a header that makes it another request leaves it to the app', async () => {
    await using app = await serve(answering({ 'cache-control': 'max-age=60' }));
    await ask(app.url);
    for (const name of ['x-http-method-override', 'x-original-url', 'x-rewrite-url', 'if-match'])
      expect(cacheStatus(await ask(app.url, { [name]: 'DELETE' }))).toBe('fwd=bypass');
    expect(cacheStatus(await ask(app.url))).toBe('hit');
  });

  test('a request with two hosts is left to the app, which may take either', async () => {
    await using app = await serve((req, res) => {
      res.writeHead(200, { 'cache-control': 'max-age=60' }).end(req.headers.host);
    });
    const { hostname, port, host } = new URL(app.url);
    const socket = connect(Number(port), hostname);
    socket.end(`GET / HTTP/1.1\r\nhost: evil.example\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
    await once(socket.resume(), 'close');
    expect((await ask(app.url)).body).toBe(host);
  });

  test.each([
    ['a range', { range: 'bytes=0-1' }, 206],
    ['a condition', { 'if-none-match': '"a"' }, 304],
  ])('a response to %s says nothing of the whole', async (_what, headers, status) => {
    await using app = await serve((req, res) => {
      res.writeHead(req.headers.range || req.headers['if-none-match'] ? status : 200, {
        'cache-control': 'max-age=60',
        etag: '"a"',
      });
      res.end();
    });
    await ask(app.url, headers);
    await ask(app.url);
    expect(cacheStatus(await ask(app.url))).toBe('hit');
  });

  test('4.1: Vary chooses among variants, which are all kept', async () => {
    await using app = await serve((req, res) => {
      res.writeHead(200, { 'cache-control': 'max-age=60', vary: 'Accept-Encoding, X-Lang' });
      res.end(`${req.headers['x-lang']} ${req.headers['accept-encoding']}`);
    });
    for (const lang of ['de', 'en']) await ask(app.url, { 'x-lang': lang, 'accept-encoding': 'gzip, br' });
    expect(app.seen).toHaveLength(2);
    const again = await ask(app.url, { 'x-lang': 'de', 'accept-encoding': 'br,gzip' });
    expect([again.body, cacheStatus(again)]).toEqual(['de gzip, br', 'hit']);
    expect(cacheStatus(await ask(app.url, { 'x-lang': 'DE', 'accept-encoding': 'gzip, br' }))).toBe('fwd=vary-miss');
    expect(cacheStatus(await ask(app.url))).toBe('fwd=vary-miss');
  });

  test('4.1: Vary: * is never used again', async () => {
    await using app = await serve(answering({ 'cache-control': 'max-age=60', vary: 'X-A, *' }));
    await ask(app.url);
    expect((await ask(app.url)).body).toBe('body 2');
  });

  test('4.2.2: what says nothing is used for --cache-ttl, but not if it may be for its client', async () => {
    await using app = await serve(answering({}), { rules: { cacheTtl: 60_000 } });
    await ask(app.url, { cookie: 'sid=1' });
    await ask(app.url);
    expect((await ask(app.url)).body).toBe('body 2');
    expect((await ask(app.url, { cookie: 'sid=1' })).body).toBe('body 2');
    await ask(`${app.url}/private`, { cookie: 'sid=1' });
    expect((await ask(`${app.url}/private`)).body).toBe('body 4');
  });

  test('4.2.2: without a lifetime, a response is fresh for a tenth of its age, at most an hour', async () => {
    const modified = new Date(Date.now() - 100_000).toUTCString();
    await using app = await serve(answering({ 'last-modified': modified }));
    await ask(app.url);
    const again = await ask(app.url);
    expect(again.body).toBe('body 1');
    expect(Number(/ttl=(\d+)/.exec(String(again.headers['cache-status']))?.[1])).toBeLessThanOrEqual(10);
  });

  test('4.2.3: Age is that of the response', async () => {
    await using app = await serve(answering({ 'cache-control': 'max-age=60', age: '30' }));
    await ask(app.url);
    const again = await ask(app.url);
    expect(Number(again.headers.age)).toBeGreaterThanOrEqual(30);
    await using stale = await serve(answering({ 'cache-control': 'max-age=60', age: '61' }));
    await ask(stale.url);
    expect((await ask(stale.url)).body).toBe('body 2');
  });

  test('4.3.2: a condition of the client is answered from what is stored', async () => {
    await using app = await serve(answering({ 'cache-control': 'max-age=60', etag: 'W/"a"' }));
    await ask(app.url);
    const same = await ask(app.url, { 'if-none-match': '"x", "a"' });
    expect([same.status, same.body, same.headers.etag]).toEqual([304, '', 'W/"a"']);
    expect((await ask(app.url, { 'if-none-match': '"b"' })).status).toBe(200);
    expect(app.seen).toHaveLength(1);
  });

  test('4.3.1: a stale response is validated with its validators, not those of the client', async () => {
    await using app = await serve((req, res, count) => {
      res.setHeader('cache-control', 'no-cache');
      res.setHeader('etag', '"a"');
      if (req.headers['if-none-match'] === '"a"') res.writeHead(304, { 'x-count': count }).end();
      else res.writeHead(200, { 'x-count': count }).end('whole');
    });
    await ask(app.url);
    const again = await ask(app.url, { 'if-none-match': '"other"', range: 'bytes=0-1' });
    expect(app.seen[1]?.headers).toMatchObject({ 'if-none-match': '"a"' });
    expect(app.seen[1]?.headers.range).toBeUndefined();
    expect([again.status, again.body, again.headers['x-count']]).toEqual([206, 'wh', '2']);
    expect(String(again.headers['cache-status'])).toBe('mpserve; hit; fwd=stale; fwd-status=304');
    expect(app.seen[1]?.rawHeaders).toEqual(expect.arrayContaining(['if-none-match', '"a"']));
    expect(app.seen[1]?.headersDistinct).toMatchObject({ 'if-none-match': ['"a"'] });
    expect((await ask(app.url, {}, { method: 'HEAD' })).headers['content-length']).toBe('5');
  });

  test.each(['end', 'writeHead', 'write', 'flushHeaders'])(
    '4.3.4: a 304 by %s becomes the stored response',
    async (way) => {
      await using app = await serve((req, res) => {
        res.setHeader('etag', '"a"');
        res.setHeader('cache-control', 'max-age=0');
        res.statusCode = req.headers['if-none-match'] ? 304 : 200;
        if (res.statusCode === 200) return res.end('w'.repeat(20_000));
        if (way === 'writeHead') res.writeHead(304);
        if (way === 'flushHeaders') res.flushHeaders();
        return res.end();
      });
      await ask(app.url);
      const again = await ask(app.url);
      expect([again.status, again.body.length, again.headers['content-length']]).toEqual([200, 20_000, '20000']);
      expect(cacheStatus(again)).toBe('hit');
    },
  );

  test('4.3.4: a cookie in a 304 is for its client alone', async () => {
    await using app = await serve((req, res, count) => {
      res.setHeader('etag', '"a"');
      res.setHeader('cache-control', 'no-cache');
      const isSame = req.headers['if-none-match'] !== undefined;
      if (isSame) res.setHeader('set-cookie', `sid=${count}`);
      res.statusCode = isSame ? 304 : 200;
      res.end(isSame ? undefined : 'body');
    });
    await ask(app.url);
    const second = await ask(app.url);
    expect([second.status, second.body, second.headers['set-cookie']]).toEqual([200, 'body', ['sid=2']]);
    // It is not stored with the cookie, and is asked for once more.
    const third = await ask(app.url);
    expect([third.body, third.headers['set-cookie']]).toEqual(['body', undefined]);
  });

  test('4.3.5: HEAD that tells of another body makes the stored one unused', async () => {
    let etag = '"a"';
    await using app = await serve((_req, res, count) => {
      res.setHeader('etag', etag);
      res.setHeader('cache-control', 'max-age=60');
      res.end(`body ${count}`);
    });
    await ask(app.url);
    etag = '"b"';
    await ask(app.url, { 'cache-control': 'no-cache' }, { method: 'HEAD' });
    expect((await ask(app.url)).body).toBe('body 3');
  });

  test.each(['POST', 'PUT', 'DELETE', 'PATCH', 'PURGE'])(
    '4.4: a successful %s invalidates its target',
    async (method) => {
      await using app = await serve(answering({ 'cache-control': 'max-age=60' }));
      await ask(`${app.url}/a?b`);
      await ask(`${app.url}/a?b`, {}, { method });
      expect((await ask(`${app.url}/a?b`)).body).toBe('body 3');
    },
  );

  test('4.4: an unsafe request that fails invalidates nothing, and Location only of the same host', async () => {
    await using app = await serve((req, res, count) => {
      const { 'x-to': to, 'x-status': status } = req.headers as Record<string, string>;
      if (to) res.setHeader('location', to);
      res.writeHead(Number(status ?? 200), { 'cache-control': 'max-age=60' }).end(`body ${count}`);
    });
    const post = (headers: Record<string, string>) => ask(`${app.url}/other`, headers, { method: 'POST' });
    await ask(`${app.url}/a`);
    await post({ 'x-to': '/a', 'x-status': '500' });
    await post({ 'x-to': 'http://elsewhere.example/a' });
    await post({ 'x-to': 'http://[' });
    expect((await ask(`${app.url}/a`)).body).toBe('body 1');
    await post({ 'x-to': `${app.url}/a`, 'x-status': '201' });
    expect((await ask(`${app.url}/a`)).body).toBe('body 6');
  });

  test('4.4: a response that was asked for before the change is not stored after it', async () => {
    const held: ServerResponse[] = [];
    await using app = await serve((req, res, count) => {
      res.setHeader('cache-control', 'max-age=60');
      if (req.method === 'GET' && count === 1) held.push(res);
      else res.end(`body ${count}`);
    });
    const before = ask(app.url);
    await eventually('the first request', () => held.length === 1);
    await ask(app.url, {}, { method: 'POST' });
    held[0]?.end('old');
    expect((await before).body).toBe('old');
    expect((await ask(app.url)).body).toBe('body 3');
  });
});

describe('5: directives of requests', () => {
  test.each([
    ['no-cache', 'fwd=stale'],
    ['max-age=0', 'fwd=stale'],
    ['max-age=60', 'hit'],
    ['min-fresh=120', 'fwd=stale'],
    ['min-fresh=10', 'hit'],
    ['only-if-cached', 'hit'],
    ['no-store', 'hit'],
    ['MAX-AGE=0', 'fwd=stale'],
  ])('%s: %s', async (value, expected) => {
    await using app = await serve(answering({ 'cache-control': 'max-age=60' }));
    await ask(app.url);
    expect(cacheStatus(await ask(app.url, { 'cache-control': value }))).toBe(expected);
  });

  test('5.4: Pragma: no-cache counts without Cache-Control', async () => {
    await using app = await serve(answering({ 'cache-control': 'max-age=60' }));
    await ask(app.url);
    expect(cacheStatus(await ask(app.url, { pragma: 'no-cache' }))).toBe('fwd=stale');
    expect(cacheStatus(await ask(app.url, { pragma: 'no-cache', 'cache-control': 'x' }))).toBe('hit');
  });

  test('5.2.1.5: the response to no-store is not stored; 5.2.1.7: only-if-cached gets 504', async () => {
    await using app = await serve(answering({ 'cache-control': 'max-age=60' }));
    expect((await ask(app.url, { 'cache-control': 'only-if-cached' })).status).toBe(504);
    await ask(app.url, { 'cache-control': 'no-store' });
    expect(cacheStatus(await ask(app.url))).toBe('fwd=uri-miss');
    expect(app.seen).toHaveLength(2);
  });

  test('5.2.1.2: max-stale takes a stale response, unless the app forbids it', async () => {
    await using app = await serve((req, res) => {
      res.setHeader('cache-control', req.url === '/strict' ? 'max-age=0, must-revalidate' : 'max-age=0');
      res.setHeader('etag', '"a"');
      res.end();
    });
    for (const path of ['/', '/strict']) await ask(app.url + path);
    const headers = { 'cache-control': 'max-stale=100' };
    expect(cacheStatus(await ask(`${app.url}/`, headers))).toBe('hit');
    expect(cacheStatus(await ask(`${app.url}/strict`, headers))).toBe('fwd=stale');
  });
});

describe('RFC 5861', () => {
  test('3: stale-while-revalidate answers at once, and asks the app once, as the client', async () => {
    let refresh: (() => void) | undefined;
    await using app = await serve((_req, res, count) => {
      res.setHeader('cache-control', 'max-age=1, stale-while-revalidate=600');
      const answer = () => res.end(`body ${count}`);
      if (count > 1) refresh = answer;
      else {
        res.setHeader('age', '2'); // it is stale from the beginning
        answer();
      }
    });
    await ask(app.url, { 'x-lang': 'de' });
    const all = await Promise.all(Array.from({ length: 20 }, () => ask(app.url, { 'x-lang': 'de' })));
    expect(new Set(all.map(({ body }) => body))).toEqual(new Set(['body 1']));
    await eventually('the request of the server', () => refresh !== undefined);
    refresh?.();
    expect(app.seen).toHaveLength(2);
    expect(app.seen[1]?.headers['x-lang']).toBe('de');
    expect(app.seen[1]?.socket.remoteAddress).toBe('127.0.0.1');
    await eventually('the new response', async () => (await ask(app.url)).body === 'body 2');
  });

  test('3: not with must-revalidate', async () => {
    await using app = await serve(
      answering({ 'cache-control': 'max-age=0, stale-while-revalidate=60, must-revalidate', etag: '"a"' }),
    );
    await ask(app.url);
    expect((await ask(app.url)).body).toBe('body 2');
  });

  test.each(['status', 'throw', 'reject', 'after headers'])('4: stale-if-error after a failure by %s', async (way) => {
    await using app = await serve((_req, res, count): unknown => {
      res.setHeader('cache-control', 'max-age=0, stale-if-error=60');
      if (count === 1) return res.end('good');
      if (way === 'throw') throw new Error('broken');
      if (way === 'reject') return Promise.reject(new Error('broken'));
      if (way === 'after headers') res.setHeader('content-length', 3).setHeader('x-secret', 'y');
      res.statusCode = 503;
      return res.end('bad');
    });
    await ask(app.url);
    const again = await ask(app.url);
    expect([again.status, again.body, again.headers['x-secret']]).toEqual([200, 'good', undefined]);
    expect(again.headers['content-length']).toBe('4');
    // The error is in the log all the same.
    expect(app.told).toEqual(way === 'throw' || way === 'reject' ? ['request-failed'] : []);
  });

  test('4: without it a failure is passed on', async () => {
    await using app = await serve((_req, res, count) => {
      res.setHeader('cache-control', 'max-age=0');
      res.setHeader('etag', '"a"');
      res.statusCode = count === 1 ? 200 : 503;
      res.end(`body ${count}`);
    });
    await ask(app.url);
    const again = await ask(app.url);
    expect([again.status, again.body, again.headers['content-length']]).toEqual([503, 'body 2', '6']);
  });
});

describe('RFC 9110, section 14: ranges of what is stored', () => {
  test.each([
    ['bytes=0-3', 206, '0123', 'bytes 0-3/10'],
    ['bytes=8-', 206, '89', 'bytes 8-9/10'],
    ['bytes=-3', 206, '789', 'bytes 7-9/10'],
    ['bytes=-30', 206, '0123456789', 'bytes 0-9/10'],
    ['bytes=5-100', 206, '56789', 'bytes 5-9/10'],
    ['bytes=10-', 416, '', 'bytes */10'],
    ['bytes=-0', 416, '', 'bytes */10'],
    ['bytes=0-1,4-5', 200, '0123456789', undefined],
    ['bytes=5-2', 200, '0123456789', undefined],
    ['lines=1-2', 200, '0123456789', undefined],
  ])('%s', async (range, status, body, contentRange) => {
    await using app = await serve((_req, res) => {
      res.writeHead(200, { 'cache-control': 'max-age=60', etag: '"a"' }).end('0123456789');
    });
    await ask(app.url);
    const part = await ask(app.url, { range });
    expect([part.status, part.body, part.headers['content-range']]).toEqual([status, body, contentRange]);
    expect(app.seen).toHaveLength(1);
  });

  test('13.1.5: If-Range with another validator gets the whole', async () => {
    await using app = await serve((_req, res) => {
      res.writeHead(200, { 'cache-control': 'max-age=60', etag: '"a"' }).end('0123456789');
    });
    await ask(app.url);
    expect((await ask(app.url, { range: 'bytes=0-1', 'if-range': '"a"' })).status).toBe(206);
    for (const other of ['"b"', 'W/"a"', 'a'])
      expect((await ask(app.url, { range: 'bytes=0-1', 'if-range': other })).status).toBe(200);
  });

  test('of a large body of bytes, and HEAD', async () => {
    const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i % 256));
    await using app = await serve((_req, res) => {
      res.writeHead(200, { 'cache-control': 'max-age=60' });
      res.write(bytes.subarray(0, 70_000));
      res.end(bytes.subarray(70_000));
    });
    await ask(app.url);
    const all = bytes.toString('latin1');
    expect((await ask(app.url)).body).toBe(all);
    expect((await ask(app.url, { range: 'bytes=250-70010' })).body).toBe(all.slice(250, 70_011));
    const head = await ask(app.url, {}, { method: 'HEAD' });
    expect([head.body, head.headers['content-length'], cacheStatus(head)]).toEqual(['', '100000', 'hit']);
    expect(app.seen).toHaveLength(1);
  });
});

describe('coalescing', () => {
  test('1,000 simultaneous requests call the app once', async () => {
    await using app = await serve(async (_req, res, count) => {
      await eventually('the connections', () => app.connections === 1000);
      await pause(500);
      res.writeHead(200, { 'cache-control': 'max-age=60' }).end(`body ${count}`);
    });
    const all = await Promise.all(Array.from({ length: 1000 }, () => ask(app.url)));
    expect(new Set(all.map(({ body }) => body))).toEqual(new Set(['body 1']));
    expect(app.seen).toHaveLength(1);
    expect(all.filter(({ headers }) => String(headers['cache-status']).endsWith('collapsed')).length).toBeGreaterThan(
      100,
    );
  });

  test('each gets a response of its own where it may not be stored', async () => {
    await using app = await serve((_req, res, count) => {
      setTimeout(() => res.writeHead(200, { 'set-cookie': `sid=${count}` }).end(`body ${count}`), 50);
    });
    const all = await Promise.all(Array.from({ length: 100 }, () => ask(app.url)));
    expect(new Set(all.map(({ body }) => body)).size).toBe(100);
    expect(new Set(all.map(({ headers }) => headers['set-cookie']?.join())).size).toBe(100);
  });

  test('what may not be stored does not wait, once that is known', async () => {
    const held: ServerResponse[] = [];
    await using app = await serve((_req, res, count) => {
      if (count === 1) res.end();
      else held.push(res);
    });
    await ask(app.url);
    const all = Array.from({ length: 3 }, () => ask(app.url));
    await eventually('three requests in the app', () => held.length === 3);
    for (const res of held) res.end();
    await Promise.all(all);
  });

  test('the next one asks when the client of the first one has gone', async () => {
    const held: ServerResponse[] = [];
    await using app = await serve((_req, res, count) => {
      res.setHeader('cache-control', 'max-age=60');
      if (count === 1) held.push(res);
      else res.end(`body ${count}`);
    });
    const { hostname, port } = new URL(app.url);
    const first = connect(Number(port), hostname);
    first.write(`GET / HTTP/1.1\r\nhost: ${hostname}:${port}\r\n\r\n`);
    await eventually('the first request', () => held.length === 1);
    const others = Array.from({ length: 5 }, () => ask(app.url));
    await pause(100);
    first.destroy();
    expect(new Set((await Promise.all(others)).map(({ body }) => body))).toEqual(new Set(['body 2']));
  });

  test('after 5 s the longest waiting one asks, for all that wait', async () => {
    await using app = await serve((_req, res, count) => {
      if (count > 1) res.writeHead(200, { 'cache-control': 'max-age=60' }).end(`body ${count}`);
    });
    const first = ask(app.url).catch(() => 'cut');
    await eventually('the first request', () => app.seen.length === 1);
    const others = await Promise.all(Array.from({ length: 10 }, () => ask(app.url)));
    expect(new Set(others.map(({ body }) => body))).toEqual(new Set(['body 2']));
    expect(app.seen).toHaveLength(2);
    app.seen[0]?.socket.destroy();
    expect(await first).toBe('cut');
  });

  test('the app runs in the context of the request that it answers', async () => {
    const context = new AsyncLocalStorage<number>();
    const seen: unknown[] = [];
    await using app = await serve((_req, res, count) => {
      seen.push(context.getStore());
      context.run(count, () => setTimeout(() => res.writeHead(200, { 'set-cookie': `sid=${count}` }).end(), 50));
    });
    await Promise.all(Array.from({ length: 20 }, () => ask(app.url)));
    expect(seen).toEqual(Array.from({ length: 20 }, () => undefined));
  });

  test('each variant is asked for once', async () => {
    await using app = await serve((req, res) => {
      setTimeout(() => {
        res.writeHead(200, { 'cache-control': 'max-age=60', vary: 'x-lang' }).end(String(req.headers['x-lang']));
      }, 50);
    });
    const langs = ['de', 'en', 'fr'];
    const all = await Promise.all(
      Array.from({ length: 60 }, (_, i) => ask(app.url, { 'x-lang': langs[i % 3] as string })),
    );
    all.forEach(({ body }, i) => void expect(body).toBe(langs[i % 3]));
    expect(app.seen.length).toBeLessThanOrEqual(6);
  });

  test('a client that leaves while it waits is forgotten, and so is one of a failure', async () => {
    const held: ServerResponse[] = [];
    await using app = await serve((_req, res) => void held.push(res));
    const first = ask(app.url);
    await eventually('the first request', () => held.length === 1);
    const { hostname, port } = new URL(app.url);
    const waiting = connect(Number(port), hostname);
    waiting.write(`GET / HTTP/1.1\r\nhost: ${hostname}:${port}\r\n\r\n`);
    await pause(100);
    waiting.destroy();
    await pause(50);
    held[0]?.writeHead(500).end();
    expect((await first).status).toBe(500);
    expect(app.seen).toHaveLength(1);
  });
});

test('--cache-bypass and --cache-bypass-cookie leave requests to the app', async () => {
  const rules = { cacheBypass: ['/admin'], cacheBypassCookie: ['sid'] };
  await using app = await serve(answering({ 'cache-control': 'max-age=60' }), { rules });
  for (const [path, headers] of [
    ['/admin', {}],
    ['/admin/x?y', {}],
    ['/', { cookie: 'a=b; sid=1' }],
  ] as const) {
    await ask(app.url + path, headers);
    expect(cacheStatus(await ask(app.url + path, headers))).toBe('fwd=bypass');
  }
  await ask(`${app.url}/administrators`, { cookie: 'asid=1' });
  expect(cacheStatus(await ask(`${app.url}/administrators`))).toBe('hit');
});

test('what belongs to a connection or a request is not stored', async () => {
  await using app = await serve((_req, res) => {
    res.writeHead(200, {
      'cache-control': 'max-age=60',
      connection: 'x-hop',
      'x-hop': '1',
      'x-request-id': 'first',
      'proxy-authenticate': 'Basic',
    });
    res.end('x');
  });
  await ask(app.url);
  const { headers } = await ask(app.url);
  expect(headers['x-hop']).toBeUndefined();
  expect(headers['proxy-authenticate']).toBeUndefined();
  expect(headers['x-request-id']).not.toBe('first');
});
