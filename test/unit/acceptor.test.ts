// Accepting up to a limit: who comes when it is reached waits in the kernel's queue.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { Acceptor } from '../../src/connection/acceptor.ts';
import { libc } from '../../src/os/libc.ts';
import { openListeningSocket, portOf } from '../../src/os/listening-socket.ts';
import { eventually } from '../helpers/eventually.ts';

const clients: Socket[] = [];
let acceptor: Acceptor;
afterEach(() => {
  acceptor.close();
  for (const client of clients.splice(0)) client.destroy();
});

/** An acceptor on `doors` sockets that greets whom it serves, until the client ends. */
function accepting(limit: number, doors = 1, isShared = false) {
  const fds = Array.from({ length: doors }, () => openListeningSocket({ kind: 'tcp', host: '127.0.0.1', port: 0 }, 64));
  const ports = fds.map(portOf);
  const seen = { most: 0, crowded: 0 };
  const accepted = { count: 0 };
  acceptor = new Acceptor({
    fds,
    backlog: 64,
    limit,
    accepted,
    isShared,
    handsOver: false,
    serve: async ({ socket }) => {
      seen.most = Math.max(seen.most, accepted.count);
      socket
        .on('error', () => {})
        .resume()
        .write('hello');
      if (!socket.destroyed) await new Promise((ended) => socket.once('end', () => socket.end()).once('close', ended));
    },
    onCrowded: () => seen.crowded++,
  });
  const come = (port = ports[0] as number): Socket => {
    const client = connect(port, '127.0.0.1');
    clients.push(client);
    return client;
  };
  return { ports, seen, accepted, come };
}
const greeted = (client: Socket) => client.bytesRead > 0;

test('nobody is accepted before start, nor turned away', async () => {
  const { come } = accepting(10);
  const client = come();
  await once(client, 'connect');
  acceptor.start();
  await once(client, 'data');
});

test('at the limit the next wait, each until one has gone', async () => {
  const { come, seen } = accepting(3);
  acceptor.start();
  const first = [come(), come(), come()];
  await Promise.all(first.map((client) => once(client.resume(), 'data')));
  const late = Array.from({ length: 5 }, () => come());
  await Promise.all(late.map((client) => once(client.resume(), 'connect')));
  await eventually('the crowd to be noticed', () => seen.crowded > 0);
  expect(late.filter(greeted)).toHaveLength(0);
  for (const [i, client] of first.entries()) {
    client.end();
    await eventually('the next to be served', () => late.filter(greeted).length === i + 1);
  }
  expect(seen.most).toBe(3);
});

test.runIf(process.platform === 'linux')(
  'with takesAll, all clients that wait are accepted in one turn, up to the limit',
  async () => {
    const fd = openListeningSocket({ kind: 'tcp', host: '127.0.0.1', port: 0 }, 64);
    const port = portOf(fd);
    for (let i = 0; i < 9; i++) clients.push(connect(port, '127.0.0.1'));
    await Promise.all(clients.map((client) => once(client, 'connect')));
    let inFirstTurn: number | undefined;
    let served = 0;
    acceptor = new Acceptor({
      fds: [fd],
      backlog: 64,
      limit: 7,
      isShared: false,
      takesAll: true,
      handsOver: false,
      serve: ({ socket }) => {
        served++;
        queueMicrotask(() => {
          inFirstTurn ??= served;
        });
        socket.on('error', () => {}).write('hello');
        return new Promise((ended) => socket.once('close', ended));
      },
      onCrowded: () => {},
    });
    acceptor.start();
    await eventually('them to be accepted', () => served > 0);
    await eventually('their greetings', () => clients.filter(greeted).length === 7);
    expect(inFirstTurn).toBe(7);
  },
);

test('a limit that a burst of clients exceeds at once still holds', async () => {
  const { come, seen } = accepting(5);
  const burst = Array.from({ length: 40 }, () => come().resume());
  await Promise.all(burst.map((client) => once(client, 'connect')));
  acceptor.start();
  for (let served = 0; served < burst.length; ) {
    const next = await eventually('another to be served', () => burst.filter(greeted)[served]);
    next.end();
    served++;
  }
  expect(seen.most).toBeLessThanOrEqual(5);
});

test('the limit is for all its sockets together', async () => {
  const { come, ports, seen } = accepting(1, 2);
  acceptor.start();
  const one = come(ports[0]).resume();
  await once(one, 'data');
  const other = come(ports[1]).resume();
  await eventually('the crowd to be noticed', () => seen.crowded > 0);
  expect(greeted(other)).toBe(false);
  one.end();
  await once(other, 'data');
});

test('close gives the sockets back, open or suspended, and leaves connections alone', async () => {
  for (const limit of [1, 10]) {
    const { come, ports, accepted } = accepting(limit);
    acceptor.start();
    const client = come();
    await once(client, 'data');
    acceptor.close();
    // A child process that another test starts has the socket, too, until it executes its program.
    await eventually('clients to be refused', async () => {
      const [error] = await once(connect(ports[0] as number, '127.0.0.1'), 'error');
      return error.code === 'ECONNREFUSED';
    });
    expect(accepted.count).toBe(1);
    client.end();
    await eventually('the connection to end', () => accepted.count === 0);
  }
});

test.each([
  ['shared', true, 8],
  ['its own', false, 0],
])('a socket that is %s: a burst is left to others in part', async (_, isShared, naps) => {
  const wait = vi.spyOn(Atomics, 'wait');
  try {
    const { come } = accepting(100, 1, isShared);
    const burst = Array.from({ length: 8 }, () => come().resume());
    await Promise.all(burst.map((client) => once(client, 'connect')));
    acceptor.start();
    await eventually('all to be served', () => burst.every(greeted));
    expect(wait).toHaveBeenCalledTimes(naps);
  } finally {
    wait.mockRestore();
  }
});

test('the length of the queue in the kernel is the one that was asked for', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-backlog-'));
  const file = path.join(folder, 'socket');
  acceptor = new Acceptor({
    fds: [openListeningSocket({ kind: 'unix', path: file }, 64)],
    backlog: 1,
    limit: 100,
    isShared: false,
    handsOver: true,
    onCrowded: () => {},
    serve: async (connection) => connection.close(),
  });
  acceptor.start();
  // All before this event loop turns and accepts: with a queue for one, the kernel takes two.
  const { socket, connect: connectTo, close } = libc();
  const [unix, streamWithoutWaiting] = [1, 1 | 0o4000];
  const address = Buffer.concat([Buffer.of(unix, 0), Buffer.from(`${file}\0`)]);
  const fds = Array.from({ length: 4 }, () => socket(unix, streamWithoutWaiting, 0));
  expect(fds.map((fd) => connectTo(fd, address, address.length))).toEqual([0, 0, -1, -1]);
  for (const fd of fds) close(fd);
  rmSync(folder, { recursive: true });
});
