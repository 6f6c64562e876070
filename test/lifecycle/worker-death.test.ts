// What is lost when a part of the server dies: the connections that it had and nothing else, and not for long.
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { eventually, within } from '../helpers/eventually.ts';
import { forPlacements, ofConnections, type Placement, repeating } from '../helpers/placements.ts';
import { fixture, type Server, startServer } from '../helpers/server.ts';
import { blockFor, Site } from '../helpers/site.ts';
import { connect, type Wire } from '../helpers/wire.ts';

const start = (placement: Placement, app = 'life.cjs') =>
  startServer({ ...placement, app: fixture(app), args: [...(placement.args ?? []), '--log-level', 'debug'] });

/** A client that asks one request soon after the other on one connection, until it is told to stop or is cut off. */
class Client {
  /** `pid:tid` of whoever serves it. */
  worker = '';
  asked = 0;
  lost = false;
  #stopping = false;
  readonly #wire: Wire;
  readonly #ended: Promise<void>;

  private constructor(wire: Wire) {
    this.#wire = wire;
    this.#ended = this.#ask();
  }

  static async start(server: Server): Promise<Client> {
    const client = new Client(await connect(server.url));
    await eventually('the first answer', () => client.asked > 0);
    return client;
  }

  get pid(): number {
    return Number(this.worker.split(':')[0]);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await within('the last answer', this.#ended);
    this.#wire.close();
  }

  async #ask(): Promise<void> {
    try {
      while (!this.#stopping) {
        this.worker = (await this.#wire.ask('GET /')).body;
        this.asked++;
        await pause(Math.random() * 10);
      }
    } catch {
      this.lost = true;
    }
  }
}

const crowd = (server: Server) => Promise.all(Array.from({ length: 12 }, () => Client.start(server)));

/** Ends the clients that are left; how many answers those had that were not to be harmed is theirs to say. */
async function stop(clients: readonly Client[]): Promise<void> {
  await Promise.all(clients.map((client) => client.stop()));
}

/** The worker that took the place of one that died. */
async function replacement(server: Server, pid: number): Promise<number> {
  const died = await server.waitFor('its death', (line) => line.event === 'worker-died' && line.pid === pid);
  const at = server.lines.indexOf(died);
  const isNew = (line: Record<string, unknown>) => line.event === 'worker-started' && server.lines.indexOf(line) > at;
  const started = await server.waitFor('its replacement', isNew);
  return Number(started.pid);
}

forPlacements((placement) => {
  test('kill -9 of a worker under load costs its own connections, and another takes its place', async () => {
    await using server = await start(placement);
    const clients = await crowd(server);
    const { pid } = clients[0] as Client;
    const [own, others] = [clients.filter((one) => one.pid === pid), clients.filter((one) => one.pid !== pid)];
    const before = others.map(({ asked }) => asked);
    process.kill(pid, 'SIGKILL');
    await eventually('its connections to end', () => own.every(({ lost }) => lost));

    if (placement.processes > 0) {
      const next = await replacement(server, pid);
      expect(server.workers()).toHaveLength(placement.processes);
      await eventually('the new worker to answer', async () => {
        using wire = await connect(server.url);
        return (await wire.ask('GET /')).body.startsWith(`${next}:`);
      });
    }
    await eventually('the others to go on', () =>
      others.every(({ asked, lost }, i) => lost || asked > (before[i] ?? 0)),
    );
    expect(others.filter(({ lost }) => lost)).toEqual([]);
    await stop(clients);
    await server.waitFor('its death', ({ event }) => event === 'worker-died');
    const deaths = server.lines.filter(({ event }) => event === 'worker-died');
    expect(deaths).toMatchObject([{ pid, reason: 'it was ended by SIGKILL' }]);
  });
});

forPlacements(
  (placement) => {
    test.each([
      ['process.exit in a thread', '/exit'],
      ['an error in a thread that nobody catches', '/throw'],
    ])('%s costs the connections of that thread and leaves the process alive', async (_, path) => {
      await using server = await start(placement);
      const workers = server.workers();
      const clients = await crowd(server);
      using fatal = await connect(server.url);
      const { body: thread } = await fatal.ask('GET /');
      const [own, others] = [
        clients.filter((one) => one.worker === thread),
        clients.filter((one) => one.worker !== thread),
      ];
      const known = new Set(clients.map(({ worker }) => worker));
      await fatal.request(`GET ${path}`);
      expect(await fatal.rest()).toHaveLength(0);
      await eventually('its connections to end', () => own.every(({ lost }) => lost));

      const before = others.map(({ asked }) => asked);
      await eventually('the others to go on', () =>
        others.every(({ asked, lost }, i) => lost || asked > (before[i] ?? 0)),
      );
      expect(others.filter(({ lost }) => lost)).toEqual([]);
      await eventually('another thread to answer', async () => {
        using wire = await connect(server.url);
        const { body } = await wire.ask('GET /');
        return !known.has(body) && body !== thread;
      });
      await stop(clients);
      expect(server.workers()).toEqual(workers);
      expect(server.lines.filter(({ event }) => event === 'worker-died')).toEqual([]);
    });
  },
  ofConnections.filter(({ unit }) => unit === 'thread'),
);

test.concurrent.each([
  ['worker', 'prefork', ['--workers', '1']],
  ['thread', 'prethread', ['--threads', '1']],
])('a %s that keeps dying comes back later and later', async (what, model, args) => {
  // With a probation the server would give up.
  const forEver = [...args, '--probation', '0'];
  await using server = await startServer({ app: fixture('life-restless.cjs'), model, args: forEver });
  const deaths = () => server.lines.filter(({ event }) => event === 'worker-died' || event === 'thread-lost');
  await eventually('five deaths', () => deaths().length >= 5);
  expect(deaths().every(({ event }) => String(event).startsWith(what))).toBe(true);
  const delays = deaths().map(({ replacedInMs }) => Number(replacedInMs));
  expect(delays[0]).toBe(0);
  for (const [i, delay] of delays.entries()) if (i > 0) expect(delay).toBeGreaterThan(delays[i - 1] ?? 0);
});

for (const model of ['ppc', 'tpc'])
  test.concurrent(
    `${model}: a client whose workers block while they load the app is given up, and the server is down`,
    repeating(model, ['ppc', 'tpc']),
    async () => {
      await using site = await Site.start(model, ['--probation', '0', '--boot-timeout', '2s']);
      site.replaceRelease(blockFor(600_000));
      using first = await connect(site.server.url); // may be who has tried the app
      using second = await connect(site.server.url);
      expect(
        await site.server.waitFor('a client to be given up', ({ event }) => event === 'connection-lost'),
      ).toMatchObject({ reason: expect.stringMatching(/--boot-timeout.*blocks the event loop/) });
      expect((await site.ask('GET', '/status')).json).toMatchObject({ state: 'down' });
      for (const wire of [first, second]) wire.close();
    },
  );

test.concurrent.each([
  ['prefork', ['--accept', 'dispatch', '--workers', '1']],
  ['ppc', []],
])('%s: a connection that a worker has just taken, and not read from, survives its death', async (model, args) => {
  await using server = await startServer({ app: fixture('life.cjs'), model, args: [...args, '--probation', '0'] });
  // On a machine that is slow enough the worker has had it for too long.
  await eventually('one to survive', async () => {
    using silent = await connect(server.url);
    using other = await connect(server.url);
    await other.ask('GET /health'); // so the other one has been taken
    const workers = server.workers();
    for (const pid of workers) process.kill(pid, 'SIGKILL');
    await eventually('their end', () => !server.workers().some((pid) => workers.includes(pid)));
    const answer = await silent.ask('GET /').catch(() => undefined);
    return answer?.status === 200;
  });
});

test('a connection at which workers end is given up after two of them', async () => {
  const args = ['--accept', 'dispatch', '--workers', '1', '--probation', '0'];
  await using server = await startServer({ app: fixture('life-unwelcoming.cjs'), model: 'prefork', args });
  using wire = await connect(server.url);
  expect(await wire.rest()).toHaveLength(0);
  const reason = '2 workers have died before they read from it';
  await server.waitFor('it to be given up', (line) => line.event === 'connection-lost' && line.reason === reason);
  expect(server.lines.filter(({ event }) => event === 'worker-died')).toHaveLength(2);
});
