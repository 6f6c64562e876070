// --health-path without --max-inflight: the server answers health checks itself, whatever the app does.
import { describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { forPlacements, ofConnections, testPlacements } from '../helpers/placements.ts';
import { fixture, type ServerOptions, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

const start = ({ args = [], ...options }: ServerOptions) =>
  startServer({ app: fixture('health.cjs'), ...options, args: [...args, '--health-path', '/healthz,/livez'] });

testPlacements(
  'health checks are answered without the app',
  async ({ name: _, processes: __, unit: ___, ...options }) => {
    await using server = await start(options);
    using wire = await connect(server.url);
    const answer = await wire.ask('GET /healthz');
    expect(answer).toMatchObject({ status: 200, body: 'ok\n' });
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', 'x-request-id': expect.any(String) });
    expect(await wire.ask('HEAD /livez?from=lb')).toMatchObject({ status: 200, body: '' });
    for (const line of ['GET /healthz/x', 'GET /healthzx', 'POST /healthz', 'GET /'])
      expect((await wire.ask(line)).status).toBe(200);
    expect(JSON.parse((await wire.ask('GET /seen')).body)).toEqual([
      '/healthz/x',
      '/healthzx',
      '/healthz',
      '/',
      '/seen',
    ]);
  },
  ofConnections,
);

testPlacements('health checks are answered while a request blocks the app', async (placement) => {
  const { name, processes: _, unit: __, ...options } = placement;
  // By the number of connections, a process that has just been blocked could get one more, and keep it.
  const balance = options.accept === 'dispatch' ? ['--balance', 'lag'] : [];
  const args = [...(options.args ?? []), ...balance, '--hang-timeout', '0'];
  const server = await start({ ...options, args });
  try {
    using blocking = await connect(server.url);
    await blocking.request('GET /block');
    await server.waitFor('the app to block', ({ seen }) => seen === 'blocked');
    for (let i = 0; i < 20; i++) {
      using wire = await connect(server.url);
      expect(await wire.ask('GET /healthz', { connection: 'close' }), name).toMatchObject({ status: 200 });
    }
    expect(blocking.socket.bytesRead).toBe(0);
  } finally {
    await server.kill();
  }
});

describe.concurrent('a health check', () => {
  const model = { model: 'prefork', args: ['--workers', '1'] };

  test('with a body that is to come is answered at once, and closes the connection', async () => {
    await using server = await start(model);
    using wire = await connect(server.url);
    await wire.request('GET /healthz', { 'content-length': '10' });
    expect(await wire.response()).toMatchObject({ status: 200, headers: { connection: 'close' } });
    await wire.write('x'.repeat(10));
    expect(await wire.rest()).toHaveLength(0);
  });

  test('waits for the response to the request before it (pipelining)', async () => {
    await using server = await start(model);
    using wire = await connect(server.url);
    const targets = ['/first', '/healthz', '/second'];
    await wire.write(targets.map((target) => `GET ${target} HTTP/1.1\r\nhost: a\r\n\r\n`).join(''));
    const bodies = [];
    for (const _ of targets) bodies.push((await wire.response()).body);
    expect(bodies).toEqual(['["/first"]', 'ok\n', '["/first","/second"]']);
  });

  test('takes no token of --rate-limit, and is in the access log', async () => {
    const args = [...model.args, '--rate-limit', '1/h', '--access-log', '-'];
    await using server = await start({ ...model, args });
    using wire = await connect(server.url);
    for (let i = 0; i < 3; i++) expect((await wire.ask('GET /healthz')).status).toBe(200);
    expect((await wire.ask('GET /')).status).toBe(200);
    expect((await wire.ask('GET /')).status).toBe(429);
    const line = await server.waitFor('the access line', ({ url }) => url === '/healthz');
    expect(line).toMatchObject({ event: 'request', status: 200, bytes: expect.any(Number) });
  });

  test('is the app’s with --max-inflight', async () => {
    await using server = await start({ ...model, args: [...model.args, '--max-inflight', '1'] });
    using wire = await connect(server.url);
    expect((await wire.ask('GET /healthz')).body).toBe('["/healthz"]');
  });
});

forPlacements(({ name: _, processes: __, unit: ___, ...options }) => {
  test('a health check gets 503 during --stop-delay, while requests are served', async () => {
    const args = [...(options.args ?? []), '--stop-delay', '10m'];
    await using server = await start({ ...options, args });
    using kept = await connect(server.url);
    expect(await kept.ask('GET /healthz')).toMatchObject({ status: 200 });
    server.child.kill('SIGTERM');
    await server.waitFor('the delay', ({ event }) => event === 'stop-delayed');
    expect(await kept.ask('GET /healthz')).toMatchObject({ status: 503, body: 'stopping\n' });
    using wire = await connect(server.url);
    expect(await wire.ask('GET /healthz')).toMatchObject({ status: 503 });
    expect(await wire.ask('GET /')).toMatchObject({ status: 200 });
  });
});

test('a health check on a connection that was open gets 503 while the server drains, and 200 during a reload', async () => {
  const server = await start({ model: 'prefork', args: ['--workers', '1', '--drain-quiet', '1m'] });
  try {
    using kept = await connect(server.url);
    expect(await kept.ask('GET /healthz')).toMatchObject({ status: 200 });
    server.child.kill('SIGHUP');
    await server.waitFor('the reload', ({ event }) => event === 'reloaded');
    expect(await kept.ask('GET /healthz')).toMatchObject({ status: 200 });
    server.child.kill('SIGTERM');
    await server.waitFor('the stop', ({ event }) => event === 'stopping');
    // The worker has got the order some time after the line.
    await eventually('503', async () => (await kept.ask('GET /healthz')).status === 503);
  } finally {
    await server.kill();
  }
});
