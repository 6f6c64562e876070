// Listening sockets that are opened without Node: their addresses, and that the kernel queues clients until a server accepts.
import { once } from 'node:events';
import { lstatSync, mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { closeDescriptor, duplicate, isReadable } from '../../src/os/descriptor.ts';
import { maxUnixPath, openListeningSocket, portOf } from '../../src/os/listening-socket.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-'));
afterAll(() => rmSync(folder, { recursive: true }));

const tcp = (host: string, port = 0) => ({ kind: 'tcp', host, port }) as const;
const hasIPv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));

/** What Node reads back from a socket for `host`. */
async function boundTo(host: string): Promise<AddressInfo> {
  const server = createServer().listen({ fd: openListeningSocket(tcp(host), 16) });
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  server.close();
  return address;
}

test.each(['127.0.0.1', '127.0.0.255', '0.0.0.0'])('binds %s', async (host) => {
  expect(await boundTo(host)).toMatchObject({ address: host, family: 'IPv4' });
});

describe.runIf(hasIPv6)('IPv6', () => {
  test.each([
    ['::1', '::1'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['0::0:0001', '::1'],
    ['::', '::'],
    ['::0.0.0.1', '::1'],
    ['::ffff:127.0.0.1', '::ffff:127.0.0.1'],
    ['::ffff:7f00:1', '::ffff:127.0.0.1'],
  ])('binds %s', async (host, address) => {
    expect(await boundTo(host)).toMatchObject({ address, family: 'IPv6' });
  });

  test('[::] accepts IPv4 clients, too, as in Node', async () => {
    const fd = openListeningSocket(tcp('::'), 16);
    const socket = connect(portOf(fd), '127.0.0.1');
    await once(socket, 'connect');
    socket.destroy();
    closeDescriptor(fd);
  });
});

test('a client waits in the queue until a server accepts', async () => {
  const fd = openListeningSocket(tcp('127.0.0.1'), 16);
  expect(isReadable(fd)).toBe(false);
  const client = connect(portOf(fd), '127.0.0.1');
  await once(client, 'connect');
  expect(isReadable(fd)).toBe(true);
  const server = createServer((socket) => socket.end('served')).listen({ fd });
  const [answer] = await once(client, 'data');
  expect(String(answer)).toBe('served');
  server.close();
});

test('a duplicate keeps the socket open when the original is closed', async () => {
  const fd = openListeningSocket(tcp('127.0.0.1'), 16);
  const copy = duplicate(fd);
  closeDescriptor(fd);
  const client = connect(portOf(copy), '127.0.0.1');
  await once(client, 'connect');
  client.destroy();
  closeDescriptor(copy);
});

test('only its owner can connect to a Unix socket', () => {
  const file = path.join(folder, 'own.sock');
  const fd = openListeningSocket({ kind: 'unix', path: file }, 16);
  expect(lstatSync(file).mode & 0o777).toBe(0o600);
  closeDescriptor(fd);
});

test('a Unix socket may have the longest path that fits', async () => {
  const file = path.join(folder, 'x'.repeat(maxUnixPath - folder.length - 1));
  const fd = openListeningSocket({ kind: 'unix', path: file }, 16);
  const client: Socket = connect(file);
  await once(client, 'connect');
  client.destroy();
  closeDescriptor(fd);
});

test.each([
  ['EADDRNOTAVAIL', 'bind', () => tcp('192.0.2.1')],
  ['EADDRINUSE', 'bind', (taken: number) => tcp('127.0.0.1', taken)],
  ['ENOENT', 'bind', () => ({ kind: 'unix', path: path.join(folder, 'nowhere/x') }) as const],
])('fails with %s', (code, call, address) => {
  const fd = openListeningSocket(tcp('127.0.0.1'), 16);
  expect(() => openListeningSocket(address(portOf(fd)), 16)).toThrow(expect.objectContaining({ code, call }));
  closeDescriptor(fd);
});
