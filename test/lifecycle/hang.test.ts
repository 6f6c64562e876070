// An event loop that stands still is found out, named, and ended alone.
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { eventually, within } from '../helpers/eventually.ts';
import { ofConnections, testSomePlacements, units } from '../helpers/placements.ts';
import { fixture, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

const hangMs = 700;
const args = ['--hang-timeout', `${hangMs}ms`];

testSomePlacements(
  units,
  'what hangs is named by function, file, line and request',
  async (placement) => {
    await using server = await startServer({
      ...placement,
      app: fixture('hanging.cjs'),
      args: [...(placement.args ?? []), ...args],
    });
    using wire = await connect(server.url);
    await wire.request('GET /spin?n=1', { 'x-request-id': 'the-one' });
    const hung = await server.waitFor('the hang to be found', ({ event }) => event === 'hung');
    expect(hung).toMatchObject({
      stillMs: expect.any(Number),
      requests: [{ reqId: 'the-one', method: 'GET', url: '/spin?n=1', ageMs: expect.any(Number) }],
    });
    expect((hung.stack as string[])[0]).toMatch(/^spinForEver \(\/.*hanging\.cjs:5:\d+\)$/);
    expect(hung.stillMs).toBeGreaterThanOrEqual(hangMs);
    expect(await within('the connection to be cut', wire.rest())).toHaveLength(0);
    // And another takes its place.
    await eventually('an answer', async () => {
      using other = await connect(server.url);
      return (await other.ask('GET /').catch(() => undefined))?.status === 200;
    });
  },
  ofConnections,
);

for (const model of ['prefork', 'ppc', 'tpc', 'prethread', 'hybrid']) {
  // ppc and hybrid find it as prefork and prethread do.
  const tags = ['ppc', 'hybrid'].includes(model) ? ['long'] : [];
  test.concurrent(`${model}: the requests of others go on meanwhile`, { tags }, async () => {
    const more = model === 'prefork' ? ['--workers', '2'] : model === 'prethread' ? ['--threads', '2'] : [];
    await using server = await startServer({ app: fixture('hanging.cjs'), model, args: [...more, ...args] });
    using stuck = await connect(server.url);
    await stuck.request('GET /spin');
    await server.waitFor('the app to hang', ({ seen }) => seen === 'spin');
    // Those who come now are served by somebody else.
    const clients = new Clients(server.url, 2, 'one-each');
    await server.waitFor('the hang to be found', ({ event }) => event === 'hung');
    const { answered, failures } = await clients.stop();
    expect(answered).toBeGreaterThan(0);
    expect(failures).toEqual([]);
  });
}

test.concurrent('prethread: connections that a thread does not come to are given to others', async () => {
  const inTurn = ['--threads', '2', '--balance', 'round-robin'];
  const args = [...inTurn, '--hang-timeout', '20s', '--graceful-timeout', '100ms'];
  await using server = await startServer({ app: fixture('hanging.cjs'), model: 'prethread', accept: 'dispatch', args });
  using stuck = await connect(server.url);
  await stuck.request('GET /spin');
  await server.waitFor('the app to hang', ({ seen }) => seen === 'spin');
  // Until it is noticed, each second one is given to the thread that hangs.
  const clients = new Clients(server.url, 4, 'one-each');
  await eventually('answers to all', () => clients.done > 50);
  expect((await clients.stop()).failures).toEqual([]);
  expect(server.lines.filter(({ event }) => event === 'hung')).toEqual([]);
});

test.concurrent.each(['prefork', 'prethread', 'tpc'])('%s: what hangs again and again is refused', async (model) => {
  const more = ['--quarantine-after', '2', '--hang-timeout', '500ms'];
  await using server = await startServer({ app: fixture('hanging.cjs'), model, args: more });
  for (let hangs = 1; hangs <= 2; hangs++) {
    using wire = await connect(server.url);
    await wire.request('GET /spin');
    await eventually(
      'it to be lost',
      () => server.lines.filter(({ event }) => event === 'request-lost').length === hangs,
    );
  }
  await server.waitFor('the quarantine', ({ event, url }) => event === 'quarantined' && url === '/spin');
  await eventually('it to be refused', async () => {
    using wire = await connect(server.url);
    return (await wire.ask('GET /spin').catch(() => undefined))?.status === 503;
  });
});

test.concurrent('native code cannot be looked into, and is ended all the same', async () => {
  await using server = await startServer({ app: fixture('hanging.cjs'), args: ['--workers', '1', ...args] });
  using wire = await connect(server.url);
  await wire.request('GET /native');
  expect(await server.waitFor('the hang to be found', ({ event }) => event === 'hung')).toMatchObject({ stack: [] });
  expect(await within('the connection to be cut', wire.rest())).toHaveLength(0);
});

test.concurrent('who is busy, but turns, is left alone', async () => {
  await using server = await startServer({ app: fixture('hanging.cjs'), args: ['--workers', '1', ...args] });
  using wire = await connect(server.url);
  for (let i = 0; i < 6; i++) expect((await wire.ask('GET /busy')).status).toBe(200);
  expect(server.lines.filter(({ event }) => event === 'hung')).toEqual([]);
});

test.concurrent('a regular expression that backtracks for ever is named, too', async () => {
  await using server = await startServer({ app: fixture('hanging.cjs'), args: ['--workers', '1', ...args] });
  using wire = await connect(server.url);
  await wire.request('GET /regexp');
  const { stack } = await server.waitFor('the hang to be found', ({ event }) => event === 'hung');
  expect((stack as string[]).some((frame) => /^matchForEver \(\/.*hanging\.cjs:\d+:\d+\)$/.test(frame))).toBe(true);
});

test.concurrent('a worker that hangs without a connection is found', async () => {
  await using server = await startServer({
    app: fixture('hanging.cjs'),
    env: { SPIN_WHEN_IDLE: '1' },
    args: ['--workers', '1', ...args],
  });
  // Its supervisor is told that it is blocked by its heartbeat alone.
  const { stack, requests } = await server.waitFor('the hang to be found', ({ event }) => event === 'hung');
  expect((stack as string[])[0]).toMatch(/^spinForEver /);
  expect(requests).toEqual([]);
});

test.concurrent('an app that handles SIGUSR1 itself is ended, without its stack', async () => {
  const env = { HANDLE_SIGUSR1: '1' };
  await using server = await startServer({ app: fixture('hanging.cjs'), env, args: ['--workers', '1', ...args] });
  using wire = await connect(server.url);
  await wire.request('GET /spin');
  expect(await server.waitFor('the hang to be found', ({ event }) => event === 'hung')).toMatchObject({ stack: [] });
  await server.waitFor('its end', ({ event }) => event === 'worker-died');
});

test.concurrent('a worker that an operator has stopped is not blocked', async () => {
  await using server = await startServer({ app: fixture('hanging.cjs'), args: ['--workers', '2', ...args] });
  const [stopped = 0, other] = server.workers();
  process.kill(stopped, 'SIGSTOP');
  try {
    // By the time that one which hangs later has been found, this one would have been, too.
    using wire = await connect(server.url);
    await wire.request('GET /spin');
    expect(await server.waitFor('the hang to be found', ({ event }) => event === 'hung')).toMatchObject({ pid: other });
    await server.waitFor('its replacement', ({ event, pid }) => event === 'worker-died' && pid === other);
    using again = await connect(server.url);
    await again.request('GET /spin');
    await eventually('another hang', () => server.lines.filter(({ event }) => event === 'hung').length === 2);
    expect(server.lines.some(({ event, pid }) => event === 'hung' && pid === stopped)).toBe(false);
  } finally {
    process.kill(stopped, 'SIGCONT');
  }
});

test.concurrent.each([
  ['prefork', '--workers'],
  ['prethread', '--threads'],
])('%s: a worker that an operator debugs may stand still', async (model, size) => {
  await using server = await startServer({ app: fixture('hanging.cjs'), model, args: [size, '1', ...args] });
  const [worker = 0] = server.workers();
  process.kill(worker, 'SIGUSR1');
  await eventually('its inspector', () => server.stderr.includes('Debugger listening on ws://127.0.0.1:'));
  using wire = await connect(server.url);
  expect((await wire.ask(`GET /work?${4 * hangMs}`)).status).toBe(200);
  expect(server.lines.filter(({ event }) => event === 'hung')).toEqual([]);
});

test.concurrent.each([
  ['prefork', '--workers'],
  ['prethread', '--threads'],
])('%s: a worker with --inspect in the NODE_OPTIONS of an --env-file may stand still', async (model, size) => {
  const file = path.join(tmpdir(), `mpserve-hang-${process.pid}-${model}.env`);
  writeFileSync(file, 'NODE_OPTIONS=--inspect=127.0.0.1:0\n');
  try {
    await using server = await startServer({
      app: fixture('hanging.cjs'),
      model,
      args: [size, '1', '--env-file', file, ...args],
    });
    expect(server.stderr).toContain('Debugger listening on ws://127.0.0.1:');
    using wire = await connect(server.url);
    expect((await wire.ask(`GET /work?${4 * hangMs}`)).status).toBe(200);
    expect(server.lines.filter(({ event }) => event === 'hung')).toEqual([]);
  } finally {
    rmSync(file);
  }
});
