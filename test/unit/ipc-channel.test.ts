// Pins the Node internals with which both ends of a channel between processes are made.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { socketPair } from '../../src/os/descriptor.ts';
import { type IpcChannel, openChannel } from '../../src/os/ipc-channel.ts';
import { eventually } from '../helpers/eventually.ts';

function pair(): [IpcChannel, IpcChannel] {
  const [one, other] = socketPair();
  return [openChannel(one), openChannel(other)];
}

async function end(one: IpcChannel, other: IpcChannel): Promise<void> {
  const ended = once(other, 'disconnect');
  (one as IpcChannel & { disconnect(): void }).disconnect();
  await ended;
}

test('messages and sockets go both ways, in order, and none reaches the process', async () => {
  const before = process.listenerCount('message') + process.listenerCount('internalMessage');
  const [one, other] = pair();
  const heard: unknown[] = [];
  other.on('message', (message, socket) => heard.push(socket ? [message, socket] : message));
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port);
  const [accepted] = (await once(server, 'connection')) as [Socket];
  one.send({ first: true }, () => {});
  one.send({ second: true }, accepted, () => {});
  one.send({ third: true }, () => {});
  while (heard.length < 3) await once(other, 'message');
  const [first, second, third] = heard as [unknown, [unknown, Socket], unknown];
  expect([first, second[0], third]).toEqual([{ first: true }, { second: true }, { third: true }]);
  second[1].end('hello');
  expect(String((await once(client, 'data'))[0])).toBe('hello');
  const answered = once(one, 'message');
  other.send({ answer: true }, () => {});
  expect((await answered)[0]).toEqual({ answer: true });
  expect(process.listenerCount('message') + process.listenerCount('internalMessage')).toBe(before);
  client.destroy();
  server.close();
  await end(one, other);
  expect([one.connected, other.connected]).toEqual([false, false]);
});

test('a channel keeps no variable of its own in the environment', async () => {
  const before = { ...process.env };
  const [one, other] = pair();
  expect({ ...process.env }).toEqual(before);
  await end(one, other);
});

test('a channel that has ended is collected', async () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const channels: WeakRef<object>[] = [];
  for (let i = 0; i < 20; i++) {
    const [one, other] = pair();
    channels.push(new WeakRef(one), new WeakRef(other));
    await end(one, other);
  }
  await eventually('nearly all of them to be collected', () => {
    gc();
    return channels.filter((one) => one.deref()).length <= 4; // the last ones may be on the stack
  });
});
