// A crowd of new connections in ppc, each of which waits for the start of a process of its own.
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { eventually, progress } from '../helpers/eventually.ts';
import { fixture, type Server, startServer } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';
import { connect, type Wire } from '../helpers/wire.ts';

const app = fixture('slow-start.cjs');

async function crowd(url: string, count: number): Promise<Wire[]> {
  const wires = await Promise.all(Array.from({ length: count }, () => connect(url)));
  await Promise.all(wires.map((wire) => wire.request('GET /')));
  return wires;
}

/** Clients that the kernel queues until they are accepted. */
function waitingIn({ url }: Server): number {
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, '0');
  // proc_net_tcp(5): local address, remote address, state (0A is LISTEN), tx_queue:rx_queue.
  const [, queued = ''] =
    new RegExp(`:${port} \\S+ 0A \\w+:(\\w+)`).exec(readFileSync('/proc/net/tcp', 'latin1')) ?? [];
  return Number.parseInt(queued, 16);
}

test('a few processes start at a time, so that the first clients do not wait for all', async () => {
  await using server = await startServer({
    app,
    model: 'ppc',
    args: ['--keep-alive-timeout', '60s', '--probation', '0'],
  });
  const wires = await crowd(server.url, Math.max(24, 12 * availableParallelism())); // twice as many as may start
  const come = () => wires.filter(({ socket }) => socket.bytesRead > 0).length;
  await progress('an answer to each', come, wires.length);
  for (const wire of wires) wire.close();
  let loading = 0;
  let most = 0;
  for (const { seen } of server.lines) {
    if (seen === 'loading') most = Math.max(most, ++loading);
    if (seen === 'loaded') loading--;
  }
  expect(most).toBeLessThanOrEqual(6 * availableParallelism());
});

const ends = { 'a reload': 'SIGHUP', 'a graceful stop': 'SIGTERM' } as const;
for (const how of ['a reload', 'a graceful stop'] as const) {
  const tags = how === 'a reload' ? ['long'] : []; // each of the clients is served by the old generation in both
  test(`${how} serves the clients that wait for their processes, also where none migrate`, { tags }, async () => {
    await using server = await startServer({
      app,
      model: 'ppc',
      args: ['--no-migrate', '--graceful-timeout', '10m', '--keep-alive-timeout', '10m', '--drain-quiet', '0'],
    });
    const wires = await crowd(server.url, Math.max(16, 6 * availableParallelism()));
    await eventually('all to be accepted', () => waitingIn(server) === 0);
    server.child.kill(ends[how]);
    const come = () => wires.filter(({ socket }) => socket.bytesRead > 0).length;
    await progress('an answer to each', come, wires.length);
    for (const wire of wires) wire.close();
    expect(server.lines.filter(({ event }) => event === 'connection-lost')).toEqual([]);
  });
}

test('a server that is stopped while clients wait for their processes ends when its time is over', async () => {
  await using server = await startServer({ app, model: 'ppc', args: ['--graceful-timeout', '1s'] });
  const wires = await crowd(server.url, 32);
  await eventually('the first of them', () => server.workers().length > 2);
  await server.stop();
  for (const wire of wires) wire.close();
});

test('a stop at once starts no process any more, and reports each client that waited for one', async () => {
  await using site = await Site.start('ppc', ['--probation', '0']); // no worker waits
  site.replaceRelease('module.exports = new Promise(() => {});'); // never loads
  const wires = await crowd(site.server.url, 3);
  await eventually('the processes of all', () => site.server.workers().length >= 3);
  expect(await site.ask('POST', '/stop', JSON.stringify({ now: true }))).toMatchObject({ status: 200 });
  await site.server.exit;
  expect(site.server.lines.filter(({ event }) => event === 'connection-lost')).toHaveLength(3);
  for (const wire of wires) wire.close();
});

test('a reload beside connections at --max-connections lets no further ones in', { tags: 'long' }, async () => {
  await using site = await Site.start('ppc', ['--max-connections', '2', '--graceful-timeout', '10m']);
  const { server } = site;
  site.replaceRelease('module.exports = (req, res) => { if (req.url === "/") res.end("first"); };');
  const held = await Promise.all([1, 2].map(() => connect(server.url)));
  await Promise.all(held.map((wire) => wire.request('GET /held')));
  await eventually('both to be accepted', () => waitingIn(server) === 0);
  expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
  const next = await crowd(server.url, 2);
  expect(await site.ask('GET', '/status')).toMatchObject({ status: 200 });
  expect(waitingIn(server)).toBe(2);
  for (const wire of held) wire.close();
  for (const wire of next) expect(String((await wire.response()).body)).toBe('first');
  for (const wire of next) wire.close();
});
