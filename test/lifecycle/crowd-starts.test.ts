// A crowd of new connections in ppc, each of which waits for the start of a process of its own.
import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { eventually, progress } from '../helpers/eventually.ts';
import { fixture, startServer } from '../helpers/server.ts';
import { connect, type Wire } from '../helpers/wire.ts';

const app = fixture('slow-start.cjs');

async function crowd(url: string, count: number): Promise<Wire[]> {
  const wires = await Promise.all(Array.from({ length: count }, () => connect(url)));
  await Promise.all(wires.map((wire) => wire.request('GET /')));
  return wires;
}

test('a few processes start at a time, so that the first clients do not wait for all', async () => {
  await using server = await startServer({ app, model: 'ppc', args: ['--keep-alive-timeout', '60s'] });
  // On many processors more may start than there are clients.
  const wires = await crowd(server.url, Math.max(32, 12 * availableParallelism()));
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

test('a server that is stopped while clients wait for their processes ends, and starts no more of them', async () => {
  await using server = await startServer({ app, model: 'ppc', args: ['--graceful-timeout', '1s'] });
  const wires = await crowd(server.url, 32);
  await eventually('the first of them', () => server.workers().length > 2);
  await server.stop();
  for (const wire of wires) wire.close();
});
