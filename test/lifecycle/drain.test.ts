// How a server stops: requests in flight are finished, new clients are refused, and the server exits in time.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as open } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ask } from '../helpers/control.ts';
import { eventually, within } from '../helpers/eventually.ts';
import { HeldRequest } from '../helpers/held.ts';
import { forPlacements, type Placement } from '../helpers/placements.ts';
import { fixture, launchServer, type Server, startServer } from '../helpers/server.ts';
import { connect, connectOptions, isRefused, type Response, Wire } from '../helpers/wire.ts';

const start = ({ model, accept, args = [] }: Partial<Placement>, more: readonly string[] = [], app = 'life.cjs') =>
  startServer({ app: fixture(app), ...(model && { model }), ...(accept && { accept }), args: [...args, ...more] });

/** Long enough that the server never cuts a request in these tests. */
const unlimited = ['--graceful-timeout', '10m'];

/** Idle connections: one of them is on the worker of the held request if workers serve several connections. */
async function connectBeside(held: HeldRequest, server: Server, { model }: Placement): Promise<Wire[]> {
  const idle: Wire[] = [];
  for (const maxIdle = model === 'ppc' || model === 'tpc' ? 1 : 12; idle.length < maxIdle; ) {
    const wire = await connect(server.url);
    idle.unshift(wire);
    if ((await wire.ask('GET /')).body === held.worker) break;
  }
  return idle;
}

/** Workers learn of the signal a moment later: sends requests until a response closes the connection. */
async function askUntilLast(wire: Wire): Promise<{ last: Response; asked: number }> {
  for (let asked = 1; ; asked++) {
    const last = await wire.ask('GET /');
    if (last.headers.connection === 'close') return { last, asked };
  }
}

forPlacements((placement) => {
  test('SIGTERM: requests in flight finish, keep-alive connections get a last response', async () => {
    // A slow test must not lose an idle connection because it is quiet.
    await using server = await start(placement, [...unlimited, '--drain-quiet', '10m']);
    using working = await HeldRequest.begin(server);
    const [idle, ...others] = await connectBeside(working, server, placement);
    for (const other of others) other.close();

    server.child.kill('SIGTERM');
    await server.waitFor('the shutdown to begin', ({ event }) => event === 'stopping');
    const { last, asked } = await askUntilLast(idle as Wire);
    expect(last.status).toBe(200);
    // The kernel queues it until the sockets are closed, unless another worker has not learned of the signal yet.
    using late = new Wire(open(connectOptions(server.url)));
    await late.request('GET /');

    working.release();
    const answer = await working.wire.response();
    expect(answer.status).toBe(200);
    // Another worker may learn of the signal only after its response has begun.
    const isDraining = last.body === answer.body || answer.headers.connection === 'close';
    const more = isDraining ? 0 : (await askUntilLast(working.wire)).asked;
    if (isDraining) expect(answer.headers.connection).toBe('close');
    expect(await working.wire.rest()).toHaveLength(0);
    const { code } = await within('the server to exit', server.exit);
    expect(code).toBe(0);
    const served = (await late.rest()).toString('latin1');
    if (served !== '') expect(served).toMatch(/^HTTP\/1\.1 200 /);
    expect(server.lines.find(({ event }) => event === 'stopped')).toMatchObject({
      reason: 'SIGTERM',
      requests: 2 + others.length + asked + more + (served === '' ? 0 : 1),
    });
    await expect(connect(server.url)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(server.stderr).toBe('');
  });

  test('SIGTERM: new clients are refused while a request in flight goes on', async () => {
    await using server = await start(placement, unlimited);
    using working = await HeldRequest.begin(server);
    server.child.kill('SIGTERM');
    // Until the workers have learned of the signal the kernel queues them.
    await eventually('a new client to be refused', () =>
      connect(server.url).then(
        (wire) => wire.close(),
        ({ code }) => code === 'ECONNREFUSED',
      ),
    );
    working.release();
    expect((await working.wire.response()).status).toBe(200);
    expect((await within('the server to exit', server.exit)).code).toBe(0);
  });

  test('--graceful-timeout cuts requests that are not finished by then', async () => {
    await using server = await start(placement, ['--graceful-timeout', '300ms']);
    using working = await HeldRequest.begin(server);
    server.child.kill('SIGTERM');
    expect(await working.wire.rest()).toHaveLength(0);
    expect((await within('the server to exit', server.exit)).code).toBe(0);
    expect(server.lines.filter(({ event }) => event === 'request-cut')).toMatchObject([
      { method: 'GET', url: expect.stringMatching(/^\/held/), reqId: expect.any(String), ageMs: expect.any(Number) },
    ]);
  });
});

forPlacements((placement) => {
  test('a worker that hangs is killed after --graceful-timeout', async () => {
    await using server = await start(placement, ['--graceful-timeout', '300ms']);
    using wire = await connect(server.url);
    await wire.request('GET /hang');
    await server.waitFor('the app to hang', ({ url }) => url === '/hang');
    server.child.kill('SIGTERM');
    expect((await within('the server to exit', server.exit)).code).toBe(0);
    await server.noneLeft(0);
  });

  test.each(['SIGINT', 'SIGQUIT'] as const)('%s after a SIGINT kills all workers at once', async (second) => {
    const server = await start(placement, unlimited);
    try {
      using working = await HeldRequest.begin(server);
      server.child.kill('SIGINT');
      await server.waitFor('the shutdown to begin', ({ event }) => event === 'stopping');
      server.child.kill(second);
      expect((await within('the server to exit', server.exit)).code).toBe(130);
      expect(await working.wire.rest()).toHaveLength(0);
      expect(server.lines.at(-1)).toMatchObject({ event: 'stopped', reason: 'SIGINT, then killed' });
      await server.noneLeft(0);
    } finally {
      await server.kill();
    }
  });

  test('SIGINT shortens a stop that has begun', async () => {
    await using server = await start(placement, unlimited);
    using working = await HeldRequest.begin(server);
    server.child.kill('SIGTERM');
    await server.waitFor('the shutdown to begin', ({ event }) => event === 'stopping');
    server.child.kill('SIGINT');
    expect(await working.wire.rest()).toHaveLength(0);
    expect((await within('the server to exit', server.exit)).code).toBe(0);
    const stops = server.lines.filter(({ event }) => event === 'stopping');
    expect(stops).toMatchObject([
      { reason: 'SIGTERM', gracefulMs: 600_000 },
      { reason: 'SIGINT', gracefulMs: 1000 },
    ]);
    expect(server.lines.filter(({ event }) => event === 'request-cut')).toHaveLength(1);
  });

  test('Ctrl-C signals the whole process group, and still drains', async () => {
    const args = [...(placement.args ?? []), ...unlimited];
    await using server = await startServer({ ...placement, app: fixture('life.cjs'), args, detached: true });
    using working = await HeldRequest.begin(server);
    process.kill(-server.pid, 'SIGINT');
    await server.waitFor('the shutdown to begin', ({ event }) => event === 'stopping');
    working.release();
    const answered = await working.wire.response().then(
      ({ status }) => status === 200,
      () => false,
    );
    expect((await within('the server to exit', server.exit)).code).toBe(0);
    expect(server.lines.filter(({ event }) => event === 'worker-died')).toEqual([]);
    // On a busy machine the response may take longer than the second that SIGINT leaves it.
    expect(server.lines.filter(({ event }) => event === 'request-cut')).toHaveLength(answered ? 0 : 1);
  });

  test('an app that handles SIGTERM gets it after its last response', async () => {
    await using server = await start(placement, unlimited, 'life-sigterm.cjs');
    using working = await HeldRequest.begin(server);
    server.child.kill('SIGTERM');
    await server.waitFor('the shutdown to begin', ({ event }) => event === 'stopping');
    working.release();
    expect((await working.wire.response()).status).toBe(200);
    expect((await within('the server to exit', server.exit)).code).toBe(0);
    const seen = server.lines.map((line) => line.seen);
    expect(seen.lastIndexOf('SIGTERM')).toBeGreaterThan(seen.indexOf('answered'));
  });
});

test.concurrent.each(['prefork', 'ppc', 'prethread'])(
  '%s: SIGTERM while the app is loading stops the server',
  async (model) => {
    await using server = launchServer({
      app: fixture('broken/never.mjs'),
      model,
      args: ['--graceful-timeout', '500ms'],
    });
    await eventually('the workers to start', () => server.workers().length > 0);
    server.child.kill('SIGTERM');
    expect((await within('the server to exit', server.exit)).code).toBe(0);
    expect(server.ready).toEqual({});
    expect(server.stderr).toBe('');
  },
);

test.concurrent.each([
  ['a switch', 'prefork', '/switch', '{"options":{"model":"prethread"}}'],
  ['a reload', 'ppc', '/reload', ''],
])('SIGTERM while %s of %s reads the configuration stops the server', async (_, model, action, body) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-drain-'));
  const [config, control, hold, held] = ['mpserve.config.mjs', 'ctl', 'hold', 'held'].map((name) =>
    path.join(folder, name),
  ) as [string, string, string, string];
  writeFileSync(
    config,
    `import { existsSync, writeFileSync } from 'node:fs';
    import { setTimeout as pause } from 'node:timers/promises';
    for (; existsSync(${JSON.stringify(hold)}); await pause(10)) writeFileSync(${JSON.stringify(held)}, '');
    export default {};`,
  );
  try {
    await using server = await start({ model }, ['--config', config, '--control', control]);
    writeFileSync(hold, '');
    const outcome = ask(control, 'POST', action, body).catch(() => {}); // its client may go first
    await eventually('the configuration to be read', () => existsSync(held));
    server.child.kill('SIGTERM');
    await server.waitFor('the workers to be gone', ({ event }) => event === 'stopped');
    rmSync(hold);
    expect((await within('the server to exit', server.exit)).code).toBe(0);
    await outcome;
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('an app that handles SIGTERM and has nothing left to do does not delay the end', async () => {
  await using server = await start({}, unlimited, 'life-sigterm-idle.cjs');
  server.child.kill('SIGTERM');
  expect((await within('the server to exit', server.exit)).code).toBe(0);
  const timeOf = (event: string) => Number(server.lines.find((line) => line.event === event)?.time);
  expect(timeOf('stopped') - timeOf('stopping')).toBeLessThan(5000); // what an app with work left gets
});

/** Begins a request behind another one, on its connection. The app answers both when the first is released. */
async function pipelineBehind({ wire }: HeldRequest, server: Server): Promise<void> {
  const first = await server.waitFor('the first request', ({ seen }) => seen === 'arrived');
  const target = `${first.url}&second`;
  await wire.request(`GET ${target}`);
  await server.waitFor('the second request', ({ seen, url }) => seen === 'arrived' && url === target);
}

test.concurrent('pipelined requests in flight finish, and the last response closes the connection', async () => {
  await using server = await start({}, unlimited);
  using working = await HeldRequest.begin(server);
  await pipelineBehind(working, server);
  server.child.kill('SIGTERM');
  await eventually('the workers to stop accepting', () => isRefused(server.url));
  working.release();
  expect((await working.wire.response()).headers.connection).toBe('keep-alive');
  expect((await working.wire.response()).headers.connection).toBe('close');
  expect((await within('the server to exit', server.exit)).code).toBe(0);
});

test.concurrent('of pipelined requests that are cut, the log has the first', async () => {
  await using server = await start({}, ['--graceful-timeout', '300ms']);
  using working = await HeldRequest.begin(server);
  await pipelineBehind(working, server);
  server.child.kill('SIGTERM');
  expect((await within('the server to exit', server.exit)).code).toBe(0);
  expect(server.lines.filter(({ event }) => event === 'request-cut')).toMatchObject([
    { url: expect.not.stringContaining('second') },
  ]);
});
