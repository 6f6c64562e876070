// A connection between its accept and its pipeline: who owns its descriptor.
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { nameOf } from '../../src/client/peer.ts';
import { IncomingConnection } from '../../src/connection/incoming.ts';
import { closeDescriptor, duplicate, socketPair } from '../../src/os/descriptor.ts';
import { descriptorOf } from '../../src/os/node-socket.ts';
import { eventually } from '../helpers/eventually.ts';

const server = createServer({ pauseOnConnect: true });
let client: Socket;
let accepted: Socket;
beforeEach(async () => {
  if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as { port: number };
  client = connect(port, '127.0.0.1').setEncoding('utf8');
  client.on('error', () => {});
  [accepted] = (await once(server, 'connection')) as [Socket];
});
afterAll(() => void server.close());
afterEach(() => {
  client.destroy();
  accepted.destroy();
});

/** What a descriptor stands for; empty when it is closed. */
const behind = (fd: number): string => {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
};

test('one that comes from its client has no history', () => {
  const connection = new IncomingConnection(accepted);
  expect(connection.facts).toEqual({ requests: 0, isMigrated: false });
  expect(connection.descriptor).toBe(descriptorOf(accepted));
});

test('it knows the address of its client, detached or not', () => {
  const connection = new IncomingConnection(accepted);
  expect(connection.client).toMatchObject({ host: '127.0.0.1' });
  connection.detach();
  expect(connection.client).toMatchObject({ host: '127.0.0.1' });
  connection.close();
  expect(connection.client).toBe('unknown');
});

test('a client that has reset its connection is unknown, detached or not', async () => {
  client.resetAndDestroy();
  await once(client, 'close');
  const connection = new IncomingConnection(accepted);
  expect(connection.client).toBe('unknown');
  connection.detach();
  expect(connection.client).toBe('unknown');
  expect(connection.socket.destroyed).toBe(false);
  expect(connection.client).toBe('unknown');
  connection.close();
});

test('a client of a Unix socket is known as such until the connection is closed, also when it has gone', () => {
  const [ours, theirs] = socketPair();
  closeDescriptor(theirs);
  const connection = new IncomingConnection(ours);
  expect(connection.client).toBe('unix');
  connection.unreadSocket;
  expect(connection.client).toBe('unix');
  connection.close();
  expect(connection.client).toBe('unknown');
});

test.each([
  ['::1', '::1'],
  ['127.0.0.1', '::ffff:127.0.0.1'],
])('a client of [::] at %s has the address that Node tells: %s', async (host, address) => {
  const both = createServer({ pauseOnConnect: true }).listen(0, '::');
  await once(both, 'listening');
  const other = connect((both.address() as { port: number }).port, host);
  const [socket] = (await once(both, 'connection')) as [Socket];
  const connection = new IncomingConnection(socket);
  const told = connection.client;
  connection.detach();
  expect([told, connection.client].map(nameOf)).toEqual([address, address]);
  connection.close();
  other.destroy();
  both.close();
});

test('detached it has a descriptor of its own, from which nothing has been read, and can be served again', async () => {
  client.write('unread');
  const connection = new IncomingConnection(accepted, { requests: 7, isMigrated: true });
  const fd = connection.detach() as number;
  expect(accepted.destroyed).toBe(true);
  expect(connection.descriptor).toBe(fd);
  expect(connection.detach()).toBe(fd);
  const socket = connection.socket.setEncoding('utf8');
  expect(await once(socket, 'data')).toEqual(['unread']);
  connection.close();
  await once(client.resume(), 'close');
});

test('unread it reads nothing', async () => {
  client.write('unread');
  const connection = new IncomingConnection(accepted);
  connection.detach();
  const { unreadSocket } = connection;
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
  expect(unreadSocket.bytesRead).toBe(0);
  connection.close();
});

test('released it is left alone', () => {
  const connection = new IncomingConnection(accepted);
  const fd = connection.detach() as number;
  const before = behind(fd);
  connection.release();
  connection.close();
  expect(behind(fd)).toBe(before);
  expect(() => connection.socket).toThrow('handed over');
  closeDescriptor(fd);
});

test('closed, a copy of it goes on', async () => {
  const copy = duplicate(descriptorOf(accepted) as number);
  new IncomingConnection(accepted).close();
  const other = new IncomingConnection(copy);
  other.socket.write('hello');
  expect(await once(client, 'data')).toEqual(['hello']);
  other.close();
  await eventually('it to be closed', () => behind(copy) === '');
});

test('one whose client has gone cannot be detached', async () => {
  const connection = new IncomingConnection(accepted);
  accepted.destroy();
  await once(accepted, 'close');
  expect(connection.detach()).toBeUndefined();
});
