// An app closes its own server while it serves: as on a plain server, requests in flight are finished and no more clients
// are accepted there; what serves them next is a new worker.
import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { type Placement, testPlacements, testSomePlacements, units } from '../helpers/placements.ts';
import { fixture, type Server, startServer } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';
import { connect } from '../helpers/wire.ts';

/** One of what closes its server, so that a client cannot come to another. */
function one({ model, accept }: Placement): string[] {
  const workers = /fork|hybrid/.test(model) ? ['--workers', '1'] : [];
  const threads = /thread|hybrid/.test(model) ? ['--threads', '1'] : [];
  return [...(accept ? ['--accept', accept] : []), ...workers, ...threads];
}

function start(placement: Placement, args: readonly string[] = []): Promise<Server> {
  const { model } = placement;
  return startServer({ app: fixture('closing.cjs'), model, args: [...one(placement), ...args] });
}

const closesAfter = (ms: number): string => `
  const server = require('node:http').createServer((_, res) => res.end('second')).listen(3000);
  setTimeout(() => server.close(), ${ms});
`;

async function who(server: Server): Promise<string> {
  using wire = await connect(server.url);
  return (await wire.ask('GET /')).body;
}

const events = (server: Server, ...names: string[]) =>
  server.lines.filter(({ event }) => names.includes(String(event)));
const losses = ['worker-died', 'worker-killed', 'thread-lost', 'connection-lost', 'request-lost', 'request-cut'];

testPlacements('requests in flight are finished, and a new worker serves the next client', async (placement) => {
  const isPool = !/^.pc$/.test(placement.model);
  await using server = await start(placement);
  using kept = await connect(server.url);
  const first = (await kept.ask('GET /')).body;
  using closing = await connect(server.url);
  await closing.write('POST /close HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\na');
  if (isPool) {
    await server.waitFor('the warning', ({ event }) => event === 'server-closed');
    // A client that comes now finds another worker, or waits until there is one.
    expect(await who(server)).not.toBe(first);
    expect(events(server, 'server-closed')).toMatchObject([{ pid: Number(first.split('.')[0]), replacedInMs: 0 }]);
  }
  await closing.write('b');
  const { status, body } = await closing.response();
  expect(status).toBe(200);
  if (isPool) expect(body).toBe(first);
  // As on a plain server, the connection that was idle has been closed; in the other models it has a worker of its own.
  if (isPool) expect(String(await kept.rest())).toBe('');
  else expect((await kept.ask('GET /')).status).toBe(200);
  await server.stop();
  expect(events(server, ...losses)).toEqual([]);
});

testPlacements('an app that closes its server and listens again at once goes on', async (placement) => {
  await using server = await start(placement);
  using wire = await connect(server.url);
  const { body } = await wire.ask('GET /relisten');
  expect((await wire.ask('GET /')).body).toBe(body);
  if (!/^.pc$/.test(placement.model)) expect(await who(server)).toBe(body);
  await server.stop();
  expect(events(server, 'server-closed', ...losses)).toEqual([]);
});

testPlacements('an app that closes its server on SIGTERM ends as before', async (placement) => {
  const server = await start(placement, ['--spares', '1']);
  using wire = await connect(server.url);
  await wire.ask('GET /');
  await server.stop();
  expect(events(server, 'server-closed', ...losses)).toEqual([]);
});

/** The app of a worker or thread that says what it does. */
const telling = `
  const me = process.pid + '.' + require('node:worker_threads').threadId;
  const say = (line) => require('node:fs').writeSync(1, JSON.stringify({ me, ...line }) + '\\n');
  const server = require('node:http').createServer((_, res) => res.end(me)).listen(3000);
`;

/** What the app says that has served a client, from then to its end. */
async function saidBy(placement: Placement, handler: string) {
  await using site = await Site.start(placement.model, one(placement), {}, {}, undefined, telling + handler);
  const { server } = site;
  using wire = await connect(server.url);
  const { body } = await wire.ask('GET /');
  await server.stop();
  expect(events(server, 'app-crashed', 'server-closed', ...losses)).toEqual([]);
  return server.lines.flatMap(({ me, ...said }) => (me === body ? [said] : []));
}

testPlacements('a SIGTERM handler closes the server itself', async (placement) => {
  const said = await saidBy(
    placement,
    `server.on('close', () => say({ closed: true }));
    process.on('SIGTERM', async (name, number) => {
      say({ name, number, listening: server.listening });
      await require('node:util').promisify(server.close).call(server);
      say({ cleanedUp: true });
      process.exit();
    });`,
  );
  expect(said).toEqual([{ name: 'SIGTERM', number: 15, listening: true }, { closed: true }, { cleanedUp: true }]);
});

testSomePlacements(units, 'a SIGTERM handler runs once, then the server is closed', async (placement) => {
  const said = await saidBy(
    placement,
    `server.on('close', () => setTimeout(say, 100, { cleanedUp: true }));
    process.once('SIGTERM', () => say({ handlers: process.listeners('SIGTERM').map(({ name }) => name) }));`,
  );
  const handlers = placement.unit === 'process' ? ['ignoreSignal'] : [];
  expect(said).toEqual([{ handlers }, { cleanedUp: true }]);
});

test('a worker whose app closes its server on a SIGTERM of its own is replaced, and loses nothing', async () => {
  await using server = await startServer({ app: fixture('closing.cjs'), model: 'prefork', args: ['--workers', '1'] });
  const first = await who(server);
  process.kill(Number(first.split('.')[0]), 'SIGTERM');
  await server.waitFor('the warning', ({ event }) => event === 'server-closed');
  expect(await who(server)).not.toBe(first);
  expect(events(server, ...losses)).toEqual([]);
});

test.each(['ppc', 'tpc'])('%s: a spare whose app closes its server is replaced', async (model) => {
  await using site = await Site.start(model, ['--spares', '1'], { probation: 0 }, {}, undefined, closesAfter(50));
  const closed = () => events(site.server, 'server-closed').length;
  await eventually('a spare and its replacement to close', () => closed() > 1);
  using wire = await connect(site.server.url);
  expect((await wire.ask('GET /')).body).toBe('second');
  expect(events(site.server, ...losses)).toEqual([]);
});

async function isRolledBack({ model, accept, args = [] }: Placement, release: string): Promise<void> {
  await using site = await Site.start(model, [...args, ...(accept ? ['--accept', accept] : [])], { probation: '10m' });
  site.write(release);
  const { code, stderr } = await site.ctl('reload');
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: 'mpserve: the new workers failed and are rolled back: the app closed its server\n',
  });
  using wire = await connect(site.server.url);
  expect((await wire.ask('GET /')).body).toBe('first');
}

testPlacements('a release that closes its server after it was ready is rolled back', (placement) =>
  isRolledBack(placement, closesAfter(50)),
);

testSomePlacements(units, 'a release that closes its server before it has loaded is rolled back', (placement) =>
  isRolledBack(placement, closesAfter(0)),
);
