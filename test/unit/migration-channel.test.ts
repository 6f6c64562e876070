// The channel over which connections migrate: who can send one, and who receives it.
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Acceptor, type AcceptorOptions } from '../../src/connection/acceptor.ts';
import type { IncomingConnection } from '../../src/connection/incoming.ts';
import {
  channelBacklog,
  closeMigrationChannel,
  duplicateForAcceptor,
  type MigrationChannel,
  openMigrationChannel,
  sendConnection,
} from '../../src/migration/channel.ts';
import { takeCredit } from '../../src/migration/credits.ts';
import { closeDescriptor, socketPair } from '../../src/os/descriptor.ts';
import { libc } from '../../src/os/libc.ts';
import { openListeningSocket } from '../../src/os/listening-socket.ts';
import { descriptorOf, socketFromFd } from '../../src/os/node-socket.ts';
import { sendMessage } from '../../src/os/rights-message.ts';
import { eventually } from '../helpers/eventually.ts';
import { sendRights } from '../helpers/rights.ts';

/** What stands behind a descriptor: `socket:[4711]`, or the path of a file. */
const behind = (fd: string | number): string => {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return ''; // it was closed in the meantime
  }
};
const opened = (): string[] => readdirSync('/proc/self/fd').map(behind);

let channel: MigrationChannel;
let acceptor: Acceptor | undefined;
/** Connections that have migrated. */
let received: IncomingConnection[];
/** Accepts the connections that are sent. */
let door: Server;
beforeEach(async () => {
  channel = openMigrationChannel();
  received = [];
  door = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(door, 'listening');
});
afterEach(() => {
  vi.useRealTimers();
  acceptor?.close();
  acceptor = undefined;
  for (const connection of received) connection.close();
  door.close();
  closeMigrationChannel(channel);
});

function open(usesCredits: boolean): Acceptor {
  acceptor = acceptorOf({ usesCredits });
  acceptor.start();
  return acceptor;
}

function acceptorOf(options: Pick<AcceptorOptions, 'usesCredits' | 'onRefused'>): Acceptor {
  return new Acceptor({
    fds: [],
    backlog: 16,
    limit: 100,
    isShared: false,
    handsOver: false,
    migrationChannel: duplicateForAcceptor([], channel).migrationChannel,
    ...options,
    onCrowded: () => {},
    serve: async (connection) => void received.push(connection),
  });
}

/** A connection of ours: the end of its client, and the descriptor of the one that has it. */
async function connection() {
  const { port } = door.address() as { port: number };
  const client = connect(port, '127.0.0.1').setEncoding('utf8');
  const [socket] = (await once(door, 'connection')) as [Socket];
  return { client, socket, fd: descriptorOf(socket) as number };
}

/** Somebody who has connected, as anybody on this machine can. */
function stranger(): Socket {
  const { socket, connect: connectTo } = libc();
  const [unix, streamWithoutWaiting] = [1, 1 | 0o4000];
  const fd = socket(unix, streamWithoutWaiting, 0);
  const address = Buffer.from(`\x01\0/proc/self/fd/${channel.path}\0`);
  expect(connectTo(fd, address, address.length)).toBe(0);
  return socketFromFd(fd).on('error', () => {});
}

test('a connection migrates with the number of its requests, and its client notices nothing', async () => {
  open(false);
  const { client, socket, fd } = await connection();
  client.write('unread');
  expect(takeCredit(channel)).toBe(true);
  expect(sendConnection(channel, fd, { requests: 7 })).toBe('sent');
  socket.destroy();
  await eventually('it to arrive', () => received.length === 1);
  const [connectionThere] = received as [IncomingConnection];
  expect(connectionThere.facts).toEqual({ isMigrated: true, requests: 7 });
  const there = connectionThere.socket.setEncoding('utf8');
  expect(await once(there, 'data')).toEqual(['unread']);
  there.write('hello');
  expect(await once(client, 'data')).toEqual(['hello']);
  client.destroy();
});

test('there are as many credits as are offered, and none without a receiver', () => {
  expect(takeCredit(channel)).toBe(false);
  const counting = open(true);
  expect(takeCredit(channel)).toBe(false);
  counting.credits = 2;
  expect([takeCredit(channel), takeCredit(channel), takeCredit(channel)]).toEqual([true, true, false]);
  counting.credits = 0;
  counting.credits = 3;
  counting.close();
  expect(takeCredit(channel)).toBe(false);
});

test('connections to the channel that send nothing delay no real one', async () => {
  open(false);
  const strangers = Array.from({ length: 100 }, stranger);
  const other = await connection();
  expect(takeCredit(channel)).toBe(true);
  expect(sendConnection(channel, other.fd, { requests: 1 })).toBe('sent');
  await eventually('a real one to arrive meanwhile', () => received.length === 1);
  for (const one of [...strangers, other.client, other.socket]) one.destroy();
});

test('the socket has no name that another process could connect to', () => {
  const inode = /\d+/.exec(readlinkSync(`/proc/self/fd/${channel.fd}`))?.[0];
  const line = readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .find((one) => one.split(' ').includes(inode as string));
  const [, name = ''] = /(\S+)$/.exec(line as string) as RegExpExecArray;
  expect(name).toMatch(/^\/.*\/migration$/);
  expect(existsSync(path.dirname(name))).toBe(false);
});

describe('a message that none of ours sends', () => {
  const file = () => [openSync(import.meta.filename, 'r')];
  const pair = () => [...socketPair()];
  const listening = () => [openListeningSocket({ kind: 'tcp', host: '127.0.0.1', port: 0 }, 1)];
  const four = Buffer.alloc(4);
  test.each<[string, Buffer, readonly (() => number[])[]]>([
    ['two connections', four, [pair]],
    ['a connection and a file', four, [file, pair]],
    ['two hundred files', four, Array(200).fill(file)],
    ['a file', four, [file]],
    ['a listening socket', four, [listening]],
    ['a file and too few bytes', Buffer.alloc(3), [file]],
    ['a listening socket and too many bytes', Buffer.alloc(5), [listening]],
    ['bytes alone', four, []],
  ])('%s: leaves no descriptor behind, and is told of once', async (_, body, kinds) => {
    const refused: unknown[] = [];
    acceptor = acceptorOf({ usesCredits: false, onRefused: (...told) => void refused.push(told) });
    acceptor.start();
    const sent = new Set<string>();
    const messages = Array.from({ length: 5 }, stranger);
    for (const message of messages) {
      const fds = kinds.flatMap((kind) => kind());
      sendRights(descriptorOf(message) as number, body, fds);
      for (const fd of fds) {
        sent.add(behind(fd));
        if (behind(fd).startsWith('socket')) closeDescriptor(fd);
        else closeSync(fd);
      }
    }
    await Promise.all(messages.map((message) => once(message.resume(), 'end'))); // they were read, and closed
    for (const message of messages) message.destroy();
    await eventually('no descriptor to be left', () => !opened().some((one) => sent.has(one)), 5000);
    expect(refused).toEqual([[1, { pid: process.pid, uid: process.getuid?.() }]]);
    expect(received).toEqual([]);
  });
});

test('a receiver that closes reads what has just come into an empty message, and lets nothing more come', async () => {
  const leaving = open(false);
  const looked = vi.spyOn(libc(), 'poll');
  const [first, second] = [stranger(), stranger()].map((one) => descriptorOf(one) as number) as [number, number];
  const lookedInto = () => new Set(looked.mock.calls.map(([entry]) => (entry as Buffer).readInt32LE()));
  await eventually('it to have looked into both', () => lookedInto().size >= 2);
  looked.mockRestore();
  const { client, socket, fd } = await connection();
  expect(sendMessage(first, fd, { requests: 1 })).toBe(true);
  socket.destroy();
  leaving.close();
  expect(received).toHaveLength(1);
  const other = await connection();
  expect(sendMessage(second, other.fd, { requests: 1 })).toBe(false);
  for (const one of [client, other.client, other.socket]) one.destroy();
});

test('a credit that was taken for an empty message is offered again', async () => {
  const counting = open(true);
  counting.credits = 1;
  expect(takeCredit(channel)).toBe(true);
  stranger().destroy();
  await eventually('the credit to be there again', () => takeCredit(channel));
});

test('without a listening socket nothing can be sent any more', async () => {
  const { client, socket, fd } = await connection();
  expect(sendConnection({ ...channel, path: 100_000 }, fd, { requests: 1 })).toBe('closed');
  for (const one of [client, socket]) one.destroy();
});

/**
 * Calls `meanwhile` at a moment between system calls of `work`: 0 is before the first, 1 is after it, 2 is before the second.
 * @returns whether there was such a moment
 */
function interrupting(at: number, work: () => void, meanwhile: () => void): boolean {
  const calls = libc() as unknown as Record<string, (...args: unknown[]) => unknown>;
  const real = { ...calls };
  let moments = 0;
  const moment = (): void => {
    if (moments++ !== at) return;
    Object.assign(calls, real);
    meanwhile();
  };
  for (const [name, call] of Object.entries(real)) {
    calls[name] = (...args) => {
      moment();
      const result = call(...args);
      moment();
      return result;
    };
  }
  try {
    work();
  } finally {
    Object.assign(calls, real);
  }
  return moments > at;
}

test('a receiver that is closing has a message whose sender was told that it was sent, whenever that was', async () => {
  let isInterrupted = true;
  for (let at = 0; isInterrupted; at++) {
    const leaving = open(false);
    const message = descriptorOf(stranger()) as number;
    const looked = vi.spyOn(libc(), 'poll');
    await eventually('it to have looked', () => looked.mock.calls.length > 1);
    looked.mockRestore();
    const { client, socket, fd } = await connection();
    let isSent = false;
    const before = received.length;
    isInterrupted = interrupting(
      at,
      () => leaving.close(),
      () => {
        isSent = sendMessage(message, fd, { requests: 1 });
      },
    );
    expect({ at, arrived: received.length - before }).toEqual({ at, arrived: isSent ? 1 : 0 });
    for (const one of [client, socket]) one.destroy();
  }
});

test('a sender that finds the queue full, or has no descriptor left, returns its credit', async () => {
  const { client, socket, fd } = await connection();
  const counting = open(true);
  counting.credits = 1;
  expect(takeCredit(channel)).toBe(true);
  const noDescriptor = vi.spyOn(libc(), 'socket').mockReturnValue(-1);
  expect(sendConnection(channel, fd, { requests: 1 })).toBe('full');
  noDescriptor.mockRestore();
  expect(takeCredit(channel)).toBe(true);
  // The event loop does not turn meanwhile, so nothing is accepted.
  const senders = Array.from({ length: channelBacklog + 1 }, stranger);
  expect(sendConnection(channel, fd, { requests: 1 })).toBe('full');
  expect(takeCredit(channel)).toBe(true);
  for (const one of [...senders, client, socket]) one.destroy();
});

test('a credit that was taken before the number was lowered counts until its connection has come', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const counting = open(true);
  counting.credits = 2;
  expect(takeCredit(channel)).toBe(true);
  counting.credits = 0;
  counting.credits = 2;
  expect([takeCredit(channel), takeCredit(channel)]).toEqual([true, false]);
  const { client, socket, fd } = await connection();
  expect(sendConnection(channel, fd, { requests: 1 })).toBe('sent');
  while (received.length === 0) await new Promise(setImmediate);
  vi.runOnlyPendingTimers(); // what is forgotten when a sender has died
  expect(takeCredit(channel)).toBe(false);
  counting.credits = 2;
  expect([takeCredit(channel), takeCredit(channel)]).toEqual([true, false]);
  for (const one of [client, socket]) one.destroy();
});

test('a credit whose sender has died is offered again', () => {
  vi.useFakeTimers();
  const counting = open(true);
  counting.credits = 1;
  expect(takeCredit(channel)).toBe(true);
  counting.credits = 0;
  counting.credits = 1;
  expect(takeCredit(channel)).toBe(false);
  vi.runOnlyPendingTimers();
  expect(takeCredit(channel)).toBe(true);
});
