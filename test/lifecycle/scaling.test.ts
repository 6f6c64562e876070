// Pools whose size follows the load, threads that are replaced, and threads whose heap is full.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { ask } from '../helpers/control.ts';
import { eventually, within } from '../helpers/eventually.ts';
import { fixture, type Server, startServer } from '../helpers/server.ts';
import { connect, type Wire } from '../helpers/wire.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-scaling-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** For what the load of a slow machine delays (milliseconds). */
const patience = 100_000;
const elastic = ['--idle-timeout', '1s', '--spare-max', '1', '--drain-quiet', '100ms'];
const workers = ['--workers', '1', '--min-workers', '1', '--max-workers', '3'];
const threads = ['--threads', '1', '--min-threads', '1', '--max-threads', '3'];

/** From the log: to how many it was scaled, one after the other. */
const sizesOf = (server: Server) =>
  server.lines.filter(({ event }) => event === 'scaled' || event === 'threads-scaled').map(({ to }) => Number(to));

for (const [model, range, measure] of [
  ['prefork', workers, 'busy'],
  ['prefork', workers, 'elu'],
  ['prefork', workers, 'lag'],
  ['prethread', threads, 'busy'],
  ['prethread', [...threads, '--accept', 'shared'], 'elu'],
  ['hybrid', [...workers, '--threads', '1'], 'busy'],
] as const)
  test.concurrent(`${model} ${range.join(' ')} grows and shrinks with the load, by ${measure}`, {
    timeout: 300_000,
    tags: model === 'hybrid' ? ['long'] : [],
  }, async () => {
    const control = path.join(folder, `${model}-${measure}-${range.length}.ctl`);
    const args = [...range, ...elastic, '--scale-on', measure, '--control', control];
    await using server = await startServer({ app: fixture('hanging.cjs'), model, args });
    const clients = new Clients(server.url, 12, 'one-each', '/work');
    await eventually('the most', () => sizesOf(server).at(-1) === 3, patience);
    expect((await clients.stop()).failures).toEqual([]);
    // On a busy machine an event loop is late without having anything to do.
    if (measure === 'lag') return;
    await eventually('the least', () => sizesOf(server).at(-1) === 1, patience);
    const { json } = await ask(control, 'GET', '/status');
    const isThreads = model === 'prethread';
    expect(json).toMatchObject({
      range: { workers: isThreads ? [1, 1] : [1, 3], threads: isThreads ? [1, 3] : [1, 1] },
      scaled: { to: 1, reason: expect.stringMatching(/^more idle than --spare-max 1 for 1 s: /) },
    });
    // Up, and then down, and nothing in between.
    const sizes = sizesOf(server);
    const top = sizes.indexOf(3);
    expect(sizes.slice(0, top)).toEqual(sizes.slice(0, top).sort());
    expect(sizes.slice(top)).toEqual(sizes.slice(top).sort().reverse());
  });

test.concurrent('nobody scales beyond what the load may', async () => {
  const control = path.join(folder, 'limits.ctl');
  await using server = await startServer({ args: [...workers, ...elastic, '--control', control] });
  expect(await ask(control, 'POST', '/scale', '{"workers": "4"}')).toMatchObject({
    status: 409,
    json: { error: '4 workers are out of range; use 1 to 3 (now 1)' },
  });
  expect(server.workers()).toHaveLength(1);
});

test.concurrent.each(['dispatch', 'shared'])('prethread %s: --max-requests replaces single threads', async (accept) => {
  const args = ['--threads', '2', '--max-requests', '50', '--drain-quiet', '100ms'];
  await using server = await startServer({ app: fixture('life.cjs'), model: 'prethread', accept, args });
  const [pid] = server.workers();
  const clients = [new Clients(server.url, 2, 'one-each'), new Clients(server.url, 2, 'kept-alive')];
  const recycled = () => server.lines.filter(({ event }) => event === 'thread-recycled');
  await server.waitForMany('some replacements', ({ event }) => event === 'thread-recycled', 4);
  for (const one of clients) expect((await one.stop()).failures).toEqual([]);
  expect(recycled()[0]).toMatchObject({ pid, reason: expect.stringMatching(/^it has answered \d+ requests$/) });
  expect(server.workers()).toEqual([pid]);
  expect(server.lines.filter(({ event }) => event === 'thread-lost')).toEqual([]);
});

test.concurrent.each([
  ['prethread', ['--threads', '2']],
  ['prethread', ['--threads', '2', '--accept', 'dispatch', '--balance', 'round-robin']],
  ['tpc', []],
  ['hybrid', ['--workers', '1', '--threads', '2']],
])('%s %j: a thread whose heap is full ends alone', async (model, size) => {
  const args = [...size, '--max-thread-heap', '32M'];
  await using server = await startServer({ app: fixture('hoarding.cjs'), model, args });
  const [pid] = server.workers();
  using hoarder = await connect(server.url);
  const { body: thread } = await hoarder.ask('GET /');
  using other = await connectElsewhere(server.url, thread);
  await hoarder.request('GET /hoard');
  expect(await server.waitFor('its end', ({ event }) => event === 'thread-lost', 20_000)).toMatchObject({
    reason: 'its heap was full (--max-thread-heap)',
    connections: 1,
  });
  expect(await within('the connection to be cut', hoarder.rest())).toHaveLength(0);
  // Another one takes its place.
  const seen = new Set<string>();
  await eventually('two that answer', async () => {
    using wire = await connect(server.url);
    return seen.add((await wire.ask('GET /')).body).size >= 2;
  });
  expect((await other.ask('GET /')).status).toBe(200);
  expect(server.workers()).toEqual([pid]);
  await server.waitFor('the request to be named', ({ event }) => event === 'request-lost');
});

/** A connection to another thread than the one that answers with `thread`. */
async function connectElsewhere(url: string, thread: string): Promise<Wire> {
  return eventually('another thread to accept', async () => {
    const wire = await connect(url);
    if ((await wire.ask('GET /')).body !== thread) return wire;
    wire.close();
    return undefined;
  });
}
