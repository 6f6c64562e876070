// Where connections change hands: who may give one away, and to whom it comes.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Acceptor } from '../../src/os/acceptor.ts';
import { libc } from '../../src/os/libc.ts';
import { descriptorOf, socketOn } from '../../src/os/node-socket.ts';
import {
  closeRelay,
  doorOf,
  isCarried,
  openRelay,
  post,
  type Relay,
  requestsBefore,
  send,
  takeSeat,
} from '../../src/os/relay.ts';
import { eventually } from '../helpers/eventually.ts';

let relay: Relay;
let acceptor: Acceptor | undefined;
/** What has been carried over. */
let taken: Socket[];
/** Where connections come from that are given away. */
let door: Server;
beforeEach(async () => {
  relay = openRelay();
  taken = [];
  door = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(door, 'listening');
});
afterEach(() => {
  acceptor?.close();
  acceptor = undefined;
  for (const socket of taken) socket.destroy();
  door.close();
  closeRelay(relay);
});

function open(byOffer: boolean): Acceptor {
  acceptor = new Acceptor({
    fds: [],
    backlog: 16,
    limit: 100,
    isShared: false,
    handOver: false,
    relay: doorOf(relay),
    byOffer,
    onCrowded: () => {},
    serve: async (socket) => void taken.push(socket),
  });
  acceptor.start();
  return acceptor;
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
  const address = Buffer.concat([Buffer.of(unix, 0, 0), Buffer.from(relay.name)]);
  expect(connectTo(fd, address, address.length)).toBe(0);
  return socketOn(fd).on('error', () => {});
}

test('a connection goes over with the number of its requests, and its client notices nothing', async () => {
  open(false);
  const { client, socket, fd } = await connection();
  client.write('unread');
  expect(takeSeat(relay)).toBe(true);
  expect(post(relay, fd, 7)).toBe('posted');
  socket.destroy();
  await eventually('it to arrive', () => taken.length === 1);
  const [carried] = taken as [Socket];
  expect({ isCarried: isCarried(carried), requests: requestsBefore(carried) }).toEqual({
    isCarried: true,
    requests: 7,
  });
  carried.setEncoding('utf8');
  expect(await once(carried, 'data')).toEqual(['unread']);
  carried.write('hello');
  expect(await once(client, 'data')).toEqual(['hello']);
  client.destroy();
});

test('there are as many seats as are offered, and none when nobody is there', () => {
  expect(takeSeat(relay)).toBe(false);
  const counted = open(true);
  expect(takeSeat(relay)).toBe(false);
  counted.seats = 2;
  expect([takeSeat(relay), takeSeat(relay), takeSeat(relay)]).toEqual([true, true, false]);
  counted.seats = 0;
  counted.seats = 3;
  counted.close();
  expect(takeSeat(relay)).toBe(false);
});

test('who knows the name alone gives nothing away, and holds nobody up', async () => {
  open(false);
  const { client, socket, fd } = await connection();
  const ended = once(client, 'close');
  client.resume().on('end', () => client.end());
  expect(post({ ...relay, secret: '00'.repeat(16) }, fd, 1)).toBe('posted');
  socket.destroy();
  await ended; // it was closed
  const strangers = Array.from({ length: 20 }, stranger);
  strangers[0]?.write('no letter');
  await once((strangers[0] as Socket).resume(), 'end');
  const other = await connection();
  expect(takeSeat(relay)).toBe(true);
  expect(post(relay, other.fd, 1)).toBe('posted');
  await eventually('a real one to arrive meanwhile', () => taken.length === 1);
  for (const one of [...strangers, other.client, other.socket]) one.destroy();
});

test('who is about to go reads what has just come into a letter that was empty, and lets no more come', async () => {
  const leaving = open(false);
  const [first, second] = [stranger(), stranger()].map((one) => descriptorOf(one) as number) as [number, number];
  await pause(10); // it has looked into both
  const { client, socket, fd } = await connection();
  expect(send(first, relay, fd, 1)).toBe(true);
  socket.destroy();
  leaving.close();
  expect(taken).toHaveLength(1);
  const other = await connection();
  expect(send(second, relay, other.fd, 1)).toBe(false);
  for (const one of [client, other.client, other.socket]) one.destroy();
});

test('a seat that was taken for a letter with nothing in it is offered again', async () => {
  const counted = open(true);
  counted.seats = 1;
  expect(takeSeat(relay)).toBe(true);
  stranger().destroy();
  await eventually('the seat to be there again', () => takeSeat(relay));
});

test('without a relay nobody takes anything any more', async () => {
  const { client, socket, fd } = await connection();
  expect(post({ ...relay, name: `${relay.name}-gone` }, fd, 1)).toBe('gone');
  for (const one of [client, socket]) one.destroy();
});
