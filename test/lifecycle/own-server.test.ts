// An app with an `http.Server` of its own runs unmodified: it may listen only as the main module, set limits and listen for
// connections. A listener that fails closes its connection, not the worker.
import { describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { fixture, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

describe.concurrent.each(['prefork', 'prethread', 'ppc'])('in %s', (model) => {
  const sizeArgs = { prefork: ['--workers', '1'], prethread: ['--threads', '1'] }[model] ?? [];
  const start = (app: string, args: readonly string[] = [], env = {}) =>
    startServer({ app: fixture(app), model, args: [...sizeArgs, ...args], env });
  // The pipeline and the app know no models (test/architecture.test.ts), so one model is enough with each change.
  const repeated = { tags: model === 'prefork' ? [] : ['long'] };

  test('the file is the main module, its connection listeners are called, and its limits apply', async () => {
    await using server = await start('own-limits.cjs');
    using wire = await connect(server.url);
    const first = await wire.ask('GET /');
    expect(first).toMatchObject({ status: 200, body: 'true 1' });
    expect(first.headers['keep-alive']).toContain('timeout=7');
    expect((await wire.ask('GET /')).headers.connection).toBe('close');
    await wire.rest();
    using slow = await connect(server.url);
    await slow.write('GET / HTTP/1.1\r\n');
    expect((await slow.head()).status).toBe(408);
  });

  test('limits that Node ignores are ignored, and the app serves', async () => {
    await using server = await start('odd-limits.cjs');
    using wire = await connect(server.url);
    const { body, headers } = await wire.ask('GET /');
    expect(body).toBe('served');
    expect(headers['keep-alive']).toContain('timeout=7');
  });

  test('options override the limits of the app', repeated, async () => {
    await using server = await start('own-limits.cjs', ['--keep-alive-timeout', '9s'], {
      MPSERVE_MAX_REQUESTS_PER_CONNECTION: '3',
    });
    using wire = await connect(server.url);
    expect((await wire.ask('GET /')).headers['keep-alive']).toContain('timeout=9');
    expect((await wire.ask('GET /')).headers.connection).toBe('keep-alive');
    expect((await wire.ask('GET /')).headers.connection).toBe('close');
    await wire.rest();
  });

  test('settings that the app makes while it serves apply, unless an option overrides them', repeated, async () => {
    await using server = await start('late-settings.cjs', ['--max-requests-per-connection', '100']);
    using wire = await connect(server.url);
    await wire.ask('GET /set?keepAliveTimeout=9000&maxRequestsPerSocket=1');
    const second = await wire.ask('GET /connections');
    expect(second.headers['keep-alive']).toContain('timeout=9');
    expect(second.headers.connection).toBe('keep-alive');
    await wire.ask('GET /set?keepAliveTimeout=200');
    await wire.rest();
  });

  test('a client that half-closes gets its response if the app has set httpAllowHalfOpen', repeated, async () => {
    await using server = await start('late-settings.cjs');
    using wire = await connect(server.url);
    await wire.ask('GET /set?httpAllowHalfOpen=1');
    await wire.request('GET /delayed');
    wire.socket.end();
    expect((await wire.response()).body).toBe('late');
  });

  test('the classes and other options of createServer() apply', repeated, async () => {
    await using server = await start('own-classes.cjs');
    using wire = await connect(server.url);
    await wire.write('GET /loud HTTP/1.1\r\nhost: a\r\nx-a: 1\r\nx-a: 2\r\n\r\n');
    const { headers, body } = await wire.response();
    expect(JSON.parse(body)).toEqual(['/LOUD', '1, 2']);
    expect(headers['x-request-id']).toMatch(/./);
  });

  test('server.setTimeout() calls its listener for a silent client', repeated, async () => {
    await using server = await start('late-settings.cjs', [], { SOCKET_TIMEOUT: '150' });
    using wire = await connect(server.url);
    expect(String(await wire.rest())).toBe('timeout');
  });

  test.skipIf(model === 'ppc')('getConnections() and closeIdleConnections() see the connections', async () => {
    await using server = await start('late-settings.cjs', ['--keep-alive-timeout', '0']);
    using idle = await connect(server.url);
    using wire = await connect(server.url);
    expect((await idle.ask('GET /connections')).body).toBe('2');
    await wire.ask('GET /close-idle');
    await idle.rest();
    expect((await wire.ask('GET /connections')).body).toBe('1');
  });

  test.skipIf(model === 'ppc')('close() calls back when the requests in flight have been answered', async () => {
    await using server = await start('late-settings.cjs');
    using held = await connect(server.url);
    await held.request('GET /held');
    await server.waitFor('the held request', (line) => line.held === true);
    using wire = await connect(server.url);
    // At once: between two requests the connection could go to the worker that replaces this one.
    await wire.write(['/close', '/release'].map((url) => `GET ${url} HTTP/1.1\r\nhost: a\r\n\r\n`).join(''));
    for (const _ of ['close', 'release']) await wire.response();
    expect((await held.response()).body).toBe('held');
    held.socket.end();
    wire.socket.end();
    const line = await server.waitFor('the callback', ({ closedAfter }) => closedAfter !== undefined);
    expect(line.closedAfter).toEqual(['answered']);
  });

  test.each([
    ['upgrade', 'GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: raw\r\n\r\n', 'upgrade failed'],
    ['async upgrade', 'GET /async HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: raw\r\n\r\n', 'late on'],
    ['connect', 'CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n', 'connect failed'],
    ['clientError', 'nonsense\r\n\r\n', 'clientError failed'],
  ])('a listener for %s that fails closes the connection and logs an error', repeated, async (_, request, said) => {
    await using server = await start('failing-listeners.cjs');
    const workers = server.workers();
    using wire = await connect(server.url);
    await wire.write(request);
    expect(await wire.rest()).toHaveLength(0);
    const line = await server.waitFor('the error line', ({ event }) => event === 'request-failed');
    expect(line).toMatchObject({ level: 50, err: { message: expect.stringContaining(said) } });
    using other = await connect(server.url);
    expect((await other.ask('GET /')).body).toBe('failing-listeners');
    if (model !== 'ppc') expect(server.workers()).toEqual(workers);
    expect(server.lines.filter(({ event }) => event === 'app-crashed')).toEqual([]);
  });

  test.each([
    ['checkContinue', '100-continue'],
    ['checkExpectation', 'tea'],
  ])('a listener for %s that fails is answered with 500', repeated, async (name, expectation) => {
    await using server = await start('failing-listeners.cjs');
    using wire = await connect(server.url);
    expect((await wire.ask('POST /', { expect: expectation })).status).toBe(500);
    const line = await server.waitFor('the error line', ({ event }) => event === 'request-failed');
    expect(line).toMatchObject({ err: { message: `${name} failed on purpose` } });
  });

  test('a listener for checkContinue gets a request alone, also with limits', async () => {
    await using server = await start('own-continue.cjs', ['--max-body-size', '10', '--rate-limit', '9/s']);
    using wire = await connect(server.url);
    await wire.request('POST /', { expect: '100-continue', 'content-length': '4' });
    expect((await wire.head()).status).toBe(100);
    await wire.write('body');
    expect((await wire.response()).body).toBe('checkContinue');
    using large = await connect(server.url);
    expect((await large.ask('POST /', { expect: '100-continue', 'content-length': '11' })).status).toBe(413);
    await server.stop();
    expect(server.lines.filter(({ seen }) => seen !== undefined)).toEqual([{ seen: 'checkContinue' }]);
  });

  test('a listener for connections that fails closes the connection', async () => {
    await using server = await start('failing-listeners.cjs', [], { FAILS: 'connection' });
    const workers = server.workers();
    for (let i = 1; i <= 2; i++) {
      using wire = await connect(server.url);
      expect(await wire.rest()).toHaveLength(0);
      const failed = () => server.lines.filter(({ event }) => event === 'request-failed').length === i;
      await eventually('the error line', failed);
    }
    if (model !== 'ppc') expect(server.workers()).toEqual(workers);
  });
});
