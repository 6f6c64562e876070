// How a server stops: what is in flight is finished, nobody new is served, and it ends in time whatever happens.
import { connect as open } from 'node:net';
import { expect, test } from 'vitest';
import { eventually, within } from '../helpers/eventually.ts';
import { HeldRequest } from '../helpers/held.ts';
import { forPlacements, type Placement } from '../helpers/placements.ts';
import { fixture, launchServer, type Server, startServer } from '../helpers/server.ts';
import { connect, connectOptions, type Response, Wire } from '../helpers/wire.ts';

const start = ({ model, accept, args = [] }: Partial<Placement>, more: readonly string[] = [], app = 'life.cjs') =>
  startServer({ app: fixture(app), ...(model && { model }), ...(accept && { accept }), args: [...args, ...more] });

/** So much that what ends before has ended by itself. */
const unlimited = ['--graceful-timeout', '10m'];

/** Connections at rest: one, and where workers have several, one on the same worker as the held request. */
async function connectBeside(held: HeldRequest, server: Server, { model }: Placement): Promise<Wire[]> {
  const idle: Wire[] = [];
  for (const most = model === 'ppc' || model === 'tpc' ? 1 : 12; idle.length < most; ) {
    const wire = await connect(server.url);
    idle.unshift(wire);
    if ((await wire.ask('GET /')).body === held.worker) break;
  }
  return idle;
}

/** The signal takes a moment to become known everywhere: asks until the answer is the connection's last. */
async function askUntilLast(wire: Wire): Promise<{ last: Response; asked: number }> {
  for (let asked = 1; ; asked++) {
    const last = await wire.ask('GET /');
    if (last.headers.connection === 'close') return { last, asked };
  }
}

forPlacements((placement) => {
  test('SIGTERM: what is in flight is finished, kept-alive connections get their last answer, new clients none', async () => {
    await using server = await start(placement, unlimited);
    using working = await HeldRequest.begin(server);
    const [idle, ...others] = await connectBeside(working, server, placement);
    for (const other of others) other.close();

    server.child.kill('SIGTERM');
    await server.waitFor('the stop to begin', ({ event }) => event === 'stopping');
    const { last, asked } = await askUntilLast(idle as Wire);
    expect(last.status).toBe(200);
    // The kernel may still queue it until the sockets are closed, but nobody answers.
    using late = new Wire(open(connectOptions(server.url)));
    await late.request('GET /');

    working.release();
    const answer = await working.wire.response();
    expect(answer.status).toBe(200);
    // A worker of its own may hear of the signal only after its answer has begun.
    const hasHeard = last.body === answer.body || answer.headers.connection === 'close';
    const more = hasHeard ? 0 : (await askUntilLast(working.wire)).asked;
    if (hasHeard) expect(answer.headers.connection).toBe('close');
    expect(await working.wire.rest()).toHaveLength(0);
    const { code } = await within('the server to end', server.exit);
    expect(code).toBe(0);
    expect(await late.rest()).toHaveLength(0);
    expect(server.lines.find(({ event }) => event === 'stopped')).toMatchObject({
      reason: 'SIGTERM',
      requests: 2 + others.length + asked + more,
    });
    await expect(connect(server.url)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(server.stderr).toBe('');
  });

  test('--graceful-timeout cuts what is not finished by then', async () => {
    await using server = await start(placement, ['--graceful-timeout', '300ms']);
    using working = await HeldRequest.begin(server);
    server.child.kill('SIGTERM');
    expect(await working.wire.rest()).toHaveLength(0);
    expect((await within('the server to end', server.exit)).code).toBe(0);
    expect(server.lines.filter(({ event }) => event === 'request-cut')).toMatchObject([
      { method: 'GET', url: expect.stringMatching(/^\/held/), reqId: expect.any(String), ageMs: expect.any(Number) },
    ]);
  });
});

forPlacements((placement) => {
  test('a worker that hangs is killed when its time to drain is over', async () => {
    await using server = await start(placement, ['--graceful-timeout', '300ms']);
    using wire = await connect(server.url);
    await wire.request('GET /hang');
    await server.waitFor('the app to hang', ({ url }) => url === '/hang');
    server.child.kill('SIGTERM');
    expect((await within('the server to end', server.exit)).code).toBe(0);
    await server.noneLeft(0);
  });

  test('a second SIGINT kills at once', async () => {
    const server = await start(placement, unlimited);
    try {
      using working = await HeldRequest.begin(server);
      server.child.kill('SIGINT');
      await server.waitFor('the stop to begin', ({ event }) => event === 'stopping');
      server.child.kill('SIGINT');
      expect((await within('the server to end', server.exit)).code).toBe(130);
      expect(await working.wire.rest()).toHaveLength(0);
      expect(server.lines.at(-1)).toMatchObject({ event: 'stopped', reason: 'SIGINT, then killed' });
      await server.noneLeft(0);
    } finally {
      await server.kill();
    }
  });

  test('Ctrl-C, which goes to the whole process group, drains all the same', async () => {
    const args = [...(placement.args ?? []), ...unlimited];
    await using server = await startServer({ ...placement, app: fixture('life.cjs'), args, detached: true });
    using working = await HeldRequest.begin(server);
    process.kill(-server.pid, 'SIGINT');
    await server.waitFor('the stop to begin', ({ event }) => event === 'stopping');
    working.release();
    expect((await working.wire.response()).status).toBe(200);
    expect((await within('the server to end', server.exit)).code).toBe(0);
    expect(server.lines.filter(({ event }) => event === 'worker-died')).toEqual([]);
  });

  test('an app that handles SIGTERM gets it when its last request has been answered', async () => {
    await using server = await start(placement, unlimited, 'life-sigterm.cjs');
    using working = await HeldRequest.begin(server);
    server.child.kill('SIGTERM');
    await server.waitFor('the stop to begin', ({ event }) => event === 'stopping');
    working.release();
    expect((await working.wire.response()).status).toBe(200);
    expect((await within('the server to end', server.exit)).code).toBe(0);
    const seen = server.lines.map((line) => line.seen);
    expect(seen.lastIndexOf('SIGTERM')).toBeGreaterThan(seen.indexOf('answered'));
  });
});

test.concurrent.each(['prefork', 'ppc', 'prethread'])(
  '%s: SIGTERM while the app is still loading ends the server',
  async (model) => {
    await using server = launchServer({
      app: fixture('broken/never.mjs'),
      model,
      args: ['--graceful-timeout', '500ms'],
    });
    await eventually('the workers to start', () => server.workers().length > 0);
    server.child.kill('SIGTERM');
    expect((await within('the server to end', server.exit)).code).toBe(0);
    expect(server.ready).toEqual({});
    expect(server.stderr).toBe('');
  },
);
