// --max-inflight: how many requests are in the app at the same time, over all workers, and what becomes of the others.
import { describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { HeldRequest } from '../helpers/held.ts';
import { describePlacements, ofConnections, type Placement, testSomePlacements, units } from '../helpers/placements.ts';
import { fixture, type Line, type Server, startServer } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';
import { connect, type Wire } from '../helpers/wire.ts';

const limit = 4;
/** Nothing waits for so long in these tests. */
const long = ['--queue-timeout', '10m'];

function start(placement: Partial<Placement>, args: readonly string[], app = 'life.cjs'): Promise<Server> {
  const { model, accept, args: own = [] } = placement;
  return startServer({
    app: fixture(app),
    ...(model && { model }),
    ...(accept && { accept }),
    args: [...own, '--health-path', '/health', '--priority-path', '/checkout', ...args],
  });
}

/** One event loop, in whose queue the order can be seen. */
const single: Partial<Placement> = { model: 'prefork', args: ['--workers', '1'] };

const isArrival = ({ seen, url }: Line) => seen === 'arrived' && !String(url).startsWith('/health');
const arrivals = (server: Server) => server.lines.filter(isArrival).map(({ url }) => url);

/** Waits for the lines of the app, which may come after its answers. */
async function allArrivals(server: Server, count: number): Promise<unknown[]> {
  await eventually('the lines of the app', () => arrivals(server).length >= count);
  return arrivals(server);
}

/** The largest number of requests that were in the app at the same time. The app writes its lines before it answers. */
function mostInApp(server: Server): number {
  let now = 0;
  let most = 0;
  for (const line of server.lines) {
    if (isArrival(line)) most = Math.max(most, ++now);
    if (line.seen === 'answered' && !String(line.url).startsWith('/health')) now--;
  }
  return most;
}

async function hold(server: Server, count = limit): Promise<HeldRequest[]> {
  const held: HeldRequest[] = [];
  for (let i = 0; i < count; i++) held.push(await HeldRequest.begin(server));
  return held;
}

let marks = 0;

/** Sends a request that has to wait. Settles when it does: the health check behind it has come to the app. */
async function queue(server: Server, target: string): Promise<Wire> {
  const wire = await connect(server.url);
  const health = `/health?mark=${++marks}`;
  await wire.write(`GET ${target} HTTP/1.1\r\nhost: test\r\n\r\nGET ${health} HTTP/1.1\r\nhost: test\r\n\r\n`);
  await server.waitFor('the health check', ({ seen, url }) => seen === 'arrived' && url === health);
  return wire;
}

async function statusOf(server: Server, target: string): Promise<number> {
  using wire = await connect(server.url);
  return (await wire.ask(`GET ${target}`, { connection: 'close' })).status;
}

const overloaded = (server: Server, reason: string) =>
  server.waitFor(`a line for ${reason}`, (line) => line.event === 'overloaded' && line.reason === reason);

testSomePlacements(
  units,
  'all workers together have as many requests in the app as the limit',
  async (placement) => {
    await using server = await start(placement, [...long, '--max-inflight', `${limit}`, '--queue-max', '8']);
    const held = await hold(server);
    // Eight of them wait when the ninth is refused.
    const wires = await Promise.all(Array.from({ length: 9 }, () => connect(server.url)));
    const answers = wires.map(async (wire, i) => {
      const answer = await wire.ask(`GET /wait?ms=20&n=${i}`);
      if (answer.status === 503) refused.push(answer.headers);
      return answer.status;
    });
    const refused: Readonly<Record<string, string>>[] = [];
    await eventually('one to be refused', () => refused.length > 0);
    expect(refused).toMatchObject([{ 'retry-after': '600', 'x-request-id': expect.any(String) }]);
    expect(await overloaded(server, 'queue-full')).toMatchObject({ level: 40, count: 1, waitedMs: expect.any(Number) });
    expect(await statusOf(server, '/health')).toBe(200);
    expect(arrivals(server)).toHaveLength(limit);

    for (const one of held) one.release();
    expect((await Promise.all(answers)).sort()).toEqual([...Array(8).fill(200), 503]);
    for (const one of held) expect((await one.wire.response()).status).toBe(200);
    await allArrivals(server, limit + 8);
    expect(mostInApp(server)).toBe(limit);
    // No place is lost.
    const again = await hold(server);
    for (const one of [...again, ...held]) one[Symbol.dispose]();
    for (const wire of wires) wire.close();
  },
  ofConnections,
);

testSomePlacements(
  units,
  'a request that finds no place within --queue-timeout gets 503',
  async (placement) => {
    await using server = await start(placement, ['--max-inflight', '1', '--queue-timeout', '200ms']);
    using held = await HeldRequest.begin(server);
    using wire = await connect(server.url);
    const { status, headers } = await wire.ask('GET /wait?ms=1');
    expect([status, headers['retry-after']]).toEqual([503, '1']);
    const line = await overloaded(server, 'queue-timeout');
    expect(line).toMatchObject({ method: 'GET', url: '/wait?ms=1', count: 1 });
    expect(Number(line.waitedMs)).toBeGreaterThanOrEqual(200);
    expect(arrivals(server)).toHaveLength(1);
    held.release();
    expect((await held.wire.response()).status).toBe(200);
    // The connection of the refused request is still good.
    expect((await wire.ask('GET /wait?ms=1')).status).toBe(200);
  },
  ofConnections,
);

describePlacements(
  units,
  (placement) => {
    test('the places of a killed process come back', async () => {
      await using server = await start(placement, [...long, '--max-inflight', `${limit}`, '--queue-max', '1']);
      const held = await hold(server);
      const pid = Number(held[0]?.worker.split(':')[0]);
      const lost = held.filter(({ worker }) => worker.startsWith(`${pid}:`));
      process.kill(pid, 'SIGKILL');
      const again: HeldRequest[] = [];
      for (const one of lost) {
        one[Symbol.dispose]();
        again.push(await HeldRequest.begin(server));
      }
      // All places are taken again: of two more requests one waits, and one is refused.
      const statuses: number[] = [];
      const more = [1, 2].map(async () => statuses.push(await statusOf(server, '/wait?ms=1')));
      await eventually('one to be refused', () => statuses.length > 0);
      expect(statuses).toEqual([503]);
      for (const one of [...again, ...held]) one[Symbol.dispose]();
      await Promise.all(more);
      expect(statuses).toEqual([503, 200]);
    });

    test('a reload keeps the count: old and new workers share the places', async () => {
      await using server = await start(placement, [
        ...long,
        ...['--max-inflight', `${limit}`, '--queue-max', '1', '--probation', '50ms', '--ready-path', '/'],
      ]);
      const held = await hold(server);
      server.child.kill('SIGHUP');
      await server.waitFor('the reload', ({ event }) => event === 'reloaded');
      const statuses: number[] = [];
      const more = [1, 2].map(async () => statuses.push(await statusOf(server, '/wait?ms=1')));
      await eventually('one to be refused', () => statuses.length > 0);
      expect(statuses).toEqual([503]);
      held[0]?.release();
      await Promise.all(more);
      expect(statuses).toEqual([503, 200]);
      await allArrivals(server, limit + 1);
      expect(mostInApp(server)).toBe(limit);
      for (const one of held) one[Symbol.dispose]();
    });
  },
  ofConnections,
);

test.concurrent.each(['prethread', 'hybrid', 'tpc'])('%s: the places of a dead thread come back', async (model) => {
  await using server = await start({ model }, [...long, '--max-inflight', '2', '--quarantine-after', '0']);
  for (let deaths = 0; deaths < 3; deaths++) {
    using wire = await connect(server.url);
    await wire.request('GET /exit');
    await wire.rest();
  }
  const held = await hold(server, 2);
  for (const one of held) one[Symbol.dispose]();
});

test.concurrent.each(['prefork', 'tpc'])(
  '%s: a reload turns the limit on, changes it and turns it off',
  async (model) => {
    const code =
      "module.exports = (req, res) => { res.write('.'); if (req.url === '/') res.end(); else global.held = res; };";
    await using site = await Site.start(
      model,
      [],
      { keepAliveTimeout: '1s', gracefulTimeout: '1s' },
      {},
      undefined,
      code,
    );
    for (const [config, expected] of [
      [{ maxInflight: 1, queueMax: 0 }, 503],
      [{ maxInflight: 2, queueMax: 0 }, 200],
      [{ maxInflight: 1, queueMax: 0 }, 503],
      [{}, 200],
    ] as const) {
      site.configure({ gracefulTimeout: '1s', ...config });
      expect((await site.ask('POST', '/reload')).status).toBe(200);
      // The held request of the generation before is cut, and its place is free, when its worker has drained.
      const held = await eventually('a place', async () => {
        const wire = await connect(site.server.url);
        await wire.request('GET /held');
        if ((await wire.head()).status === 200) return wire;
        wire.close();
        return undefined;
      });
      // The place of a held request from before is free when its worker has seen that its client has gone.
      await eventually(`a ${expected}`, async () => (await statusOf(site.server, '/')) === expected);
      held.close();
    }
  },
);

test.concurrent('an app that puts a function around the write of an upgraded socket keeps it', async () => {
  const code = `module.exports = require('node:http').createServer().on('upgrade', (_, socket) => {
    const { write } = socket;
    socket.write = (text) => write.call(socket, text.toUpperCase());
    for (const text of ['http/1.1 101 ok\\r\\n\\r\\n', 'one ', 'two']) socket.write(text);
    socket.end();
  });`;
  await using site = await Site.start('prefork', ['--max-inflight', '1'], {}, {}, undefined, code);
  using wire = await connect(site.server.url);
  await wire.request('GET /', { connection: 'upgrade', upgrade: 'other' });
  expect((await wire.rest()).toString()).toBe('HTTP/1.1 101 OK\r\n\r\nONE TWO');
});

describe.concurrent('one event loop', () => {
  test('lets waiting requests go on in their order, those with priority first', async () => {
    await using server = await start(single, [...long, '--max-inflight', '1']);
    using held = await HeldRequest.begin(server);
    // The app has no page for the last one, which is below the path with priority.
    const targets = ['/wait?ms=1&n=1', '/wait?ms=1&n=2', '/checkout?by=no', '/wait?ms=1&n=3', '/checkout/cart'];
    const wires: Wire[] = [];
    for (const target of targets) wires.push(await queue(server, target));
    held.release();
    for (const wire of wires) expect((await wire.response()).status).toBe(wire === wires[4] ? 500 : 200);
    expect((await allArrivals(server, 6)).slice(1)).toEqual([2, 4, 0, 1, 3].map((i) => targets[i]));
    for (const wire of wires) wire.close();
  });

  test('refuses a waiting request for one with priority when the queue is full', async () => {
    await using server = await start(single, [...long, '--max-inflight', '1', '--queue-max', '1']);
    using held = await HeldRequest.begin(server);
    using ordinary = await queue(server, '/wait?ms=1');
    using priority = await queue(server, '/checkout?by=no');
    expect((await ordinary.response()).status).toBe(503);
    held.release();
    expect((await priority.response()).status).toBe(200);
  });

  test('passes no request on whose client has gone, and frees its place in the queue', async () => {
    await using server = await start(single, [
      ...[...long, '--max-inflight', '1', '--queue-max', '1', '--access-log', '-'],
    ]);
    using held = await HeldRequest.begin(server);
    const gone = await queue(server, '/wait?ms=1&n=gone');
    gone.close();
    await server.waitFor('its access line', ({ event, url }) => event === 'request' && url === '/wait?ms=1&n=gone');
    using next = await queue(server, '/wait?ms=1&n=next');
    held.release();
    expect((await next.response()).status).toBe(200);
    expect((await allArrivals(server, 2)).slice(1)).toEqual(['/wait?ms=1&n=next']);
  });

  test('counts each of several pipelined requests', async () => {
    await using server = await start(single, [...long, '--max-inflight', '2']);
    using wire = await connect(server.url);
    const requests = Array.from({ length: 6 }, (_, i) => `GET /wait?ms=5&n=${i} HTTP/1.1\r\nhost: test\r\n\r\n`);
    await wire.write(requests.join(''));
    for (const _ of requests) expect((await wire.response()).status).toBe(200);
    await allArrivals(server, 6);
    expect(mostInApp(server)).toBe(2);
  });

  test('gives a pipelined request no priority over the one before it', async () => {
    await using server = await start(single, [...long, '--max-inflight', '1']);
    using held = await HeldRequest.begin(server);
    using wire = await connect(server.url);
    const targets = ['/wait?ms=1', '/checkout?by=no', '/health'];
    await wire.write(targets.map((target) => `GET ${target} HTTP/1.1\r\nhost: test\r\n\r\n`).join(''));
    await server.waitFor('the last one', ({ url, seen }) => seen === 'arrived' && url === '/health');
    held.release();
    for (const _ of targets) expect((await wire.response()).status).toBe(200);
    expect((await allArrivals(server, 3)).slice(1)).toEqual(targets.slice(0, 2));
  });

  test('has a client send its body only when the request goes to the app', async () => {
    await using server = await start(single, [...long, '--max-inflight', '1']);
    using held = await HeldRequest.begin(server);
    using wire = await connect(server.url);
    await wire.request('POST /wait?ms=1', { expect: '100-continue', 'content-length': '4' });
    let isTold = false;
    const told = wire.head().then(({ status }) => {
      isTold = true;
      return status;
    });
    for (let i = 0; i < 3; i++) expect(await statusOf(server, '/health')).toBe(200);
    expect(isTold).toBe(false);
    held.release();
    expect(await told).toBe(100);
    await wire.write('body');
    expect((await wire.response()).status).toBe(200);
  });

  test('keeps a client that waits with its body, when an idle one can make room at --max-connections', async () => {
    const limits = ['--max-inflight', '1', '--max-connections', '3', '--request-timeout', '10m'];
    await using server = await start(single, [...long, ...limits]);
    using held = await HeldRequest.begin(server);
    using waiting = await connect(server.url);
    await waiting.request('POST /wait?ms=1', { expect: '100-continue', 'content-length': '4' });
    using idle = await connect(server.url);
    expect((await idle.ask('GET /health')).status).toBe(200);
    using next = await connect(server.url);
    expect((await next.ask('GET /health')).status).toBe(200);
    expect(await idle.rest()).toHaveLength(0);
    held.release();
    expect((await waiting.head()).status).toBe(100);
    await waiting.write('body');
    expect((await waiting.response()).status).toBe(200);
  });

  test('refuses a request whose body is still to come, and closes its connection', async () => {
    await using server = await start(single, ['--max-inflight', '1', '--queue-max', '0']);
    using held = await HeldRequest.begin(server);
    for (const expectation of [{ expect: '100-continue' }, {}]) {
      using wire = await connect(server.url);
      await wire.request('POST /wait?ms=1', { ...expectation, 'content-length': '4' });
      const { status, headers } = await wire.response();
      expect([status, headers.connection, headers['retry-after']]).toEqual([503, 'close', '1']);
      await wire.write('body');
      expect(await wire.rest()).toHaveLength(0);
    }
    using old = await connect(server.url);
    await old.write('GET /wait?ms=1 HTTP/1.0\r\n\r\n');
    expect((await old.response()).status).toBe(503);
    expect(await old.rest()).toHaveLength(0);
    held.release();
    expect((await held.wire.response()).status).toBe(200);
  });

  test('does not let --request-deadline run while a request waits', async () => {
    await using server = await start(single, [...long, '--max-inflight', '1', '--request-deadline', '300ms']);
    using held = await HeldRequest.begin(server);
    using wire = await queue(server, '/wait?ms=1');
    expect((await held.wire.response()).status).toBe(504); // and its place is free
    expect((await wire.response()).status).toBe(200);
  });

  test('does not blame waiting requests for a crash', async () => {
    await using server = await start(single, [...long, '--max-inflight', '1']);
    using held = await HeldRequest.begin(server);
    using wire = await queue(server, '/wait?ms=1');
    process.kill(Number(held.worker.split(':')[0]), 'SIGKILL');
    await server.waitFor('the new worker', ({ seen }) => seen === 'loaded' && server.workers().length === 1);
    await wire.rest();
    // The health check was in the app, and its answer waited for that of the request before it.
    const lost = () =>
      server.lines.filter(({ event }) => event === 'request-lost').map(({ url }) => String(url).split('?')[0]);
    await eventually('both that were in the app', () => lost().includes('/health') && lost().includes('/held'));
    expect(lost().sort()).toEqual(['/health', '/held']);
  });

  test('refuses waiting requests near the end of its drain', async () => {
    await using server = await start(single, [...long, '--max-inflight', '1', '--graceful-timeout', '1s']);
    using _held = await HeldRequest.begin(server);
    using wire = await queue(server, '/wait?ms=1');
    server.child.kill('SIGTERM');
    const { status, headers } = await wire.response();
    expect([status, headers['retry-after'] !== undefined]).toEqual([503, true]);
    await overloaded(server, 'draining');
    expect((await server.exit).code).toBe(0);
  });

  test('serves waiting requests while it drains', async () => {
    await using server = await start(single, [...long, '--max-inflight', '1']);
    using held = await HeldRequest.begin(server);
    using wire = await connect(server.url);
    await wire.request('GET /wait?ms=1');
    using last = await queue(server, '/wait?ms=1');
    server.child.kill('SIGTERM');
    await server.waitFor('the drain', ({ event }) => event === 'stopping');
    held.release();
    expect([(await wire.response()).status, (await last.response()).status]).toEqual([200, 200]);
    expect((await server.exit).code).toBe(0);
  });

  test('keeps no place for a client that does not read its response', async () => {
    const code = "module.exports = (req, res) => res.end(req.url === '/large' ? Buffer.alloc(2 ** 24) : 'small');";
    await using site = await Site.start(
      'prefork',
      ['--workers', '1', '--max-inflight', '1', '--queue-max', '0'],
      {},
      {},
      undefined,
      code,
    );
    using idle = await connect(site.server.url);
    await idle.request('GET /large');
    expect((await idle.head()).status).toBe(200);
    expect(await statusOf(site.server, '/')).toBe(200);
    expect(await idle.skip(2 ** 24)).toBe(2 ** 24);
  });

  test('counts a request for another protocol until it is answered', async () => {
    await using server = await start(single, [...long, '--max-inflight', '1', '--queue-max', '1'], 'life-upgrade.cjs');
    const upgrade = { connection: 'upgrade', upgrade: 'raw' };
    const held = await HeldRequest.begin(server);
    using first = await connect(server.url);
    const switched = first.ask('GET /raw?by=no', upgrade);
    // The first one waits when the second one is refused.
    using second = await connect(server.url);
    await eventually('the first one to wait', async () => (await statusOf(server, '/health')) === 200);
    const answer = await second.ask('GET /raw', upgrade);
    expect([answer.status, answer.headers['retry-after']]).toEqual([503, '600']);
    expect(await second.rest()).toHaveLength(0);
    expect(server.lines.filter(({ seen }) => seen === 'upgrading')).toEqual([]);
    held.release();
    expect((await switched).status).toBe(101);
    await first.write('echo');
    expect(String(await first.take(4))).toBe('echo');
    // It has no place any more.
    expect(await statusOf(server, '/wait?ms=1')).toBe(200);
    held[Symbol.dispose]();
  });

  test('sheds requests that have waited for too long for --shed', async () => {
    await using server = await start(single, [...long, '--max-inflight', '1', '--shed', 'p99=100ms']);
    using held = await HeldRequest.begin(server);
    const wires = [await queue(server, '/wait?ms=1&n=1'), await queue(server, '/checkout?by=no')];
    const began = performance.now();
    await eventually('the goal to be missed', () => performance.now() - began > 100);
    held.release();
    expect(await Promise.all(wires.map(async (wire) => (await wire.response()).status))).toEqual([503, 200]);
    expect(await overloaded(server, 'shed')).toMatchObject({ count: 1, url: '/wait?ms=1&n=1' });
    for (const wire of wires) wire.close();
  });
});
