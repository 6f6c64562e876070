// A client that asks very many requests in little time: pipelined, on several connections, counting bytes instead of
// parsing what comes back.
import { once } from 'node:events';
import { connect as open, type Socket } from 'node:net';
import { within } from './eventually.ts';
import { connect, connectOptions } from './wire.ts';

export interface Flood {
  readonly connections: number;
  /** All connections together. */
  readonly requests: number;
  /** Requests that are on their way on a connection at the same time. */
  readonly depth: number;
  /** The n-th target, n from 0; the answers to all of them have the same length. */
  target(n: number): string;
}

const headers = { 'x-request-id': 'flood' }; // its own would not always be of the same length

/** Settles when each request has been answered. Rejects when a connection ends before. */
export async function flood(url: string, { connections, requests, depth, target }: Flood): Promise<void> {
  let asked = 0;
  using probe = await connect(url);
  await probe.ask(`GET ${target(asked++)}`, headers);
  const length = probe.socket.bytesRead;

  const work = async (): Promise<void> => {
    const socket = open(connectOptions(url)).resume();
    const ended = once(socket, 'close').then(() => Promise.reject(new Error('a connection was cut')));
    ended.catch(() => {}); // in the end it is we who end it
    try {
      while (asked < requests) {
        let batch = '';
        let answers = socket.bytesRead;
        for (let i = 0; i < depth && asked < requests; i++, answers += length) batch += request(target(asked++));
        socket.write(batch);
        await Promise.race([received(socket, answers), ended]);
      }
    } finally {
      socket.destroy();
    }
  };
  await within(`${requests} answers`, Promise.all(Array.from({ length: connections }, work)));
}

function request(target: string): string {
  return `GET ${target} HTTP/1.1\r\nhost: test\r\nx-request-id: ${headers['x-request-id']}\r\n\r\n`;
}

/** Settles when `socket` has received `bytes` bytes in all. */
function received(socket: Socket, bytes: number): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (socket.bytesRead < bytes) return;
      socket.off('data', look);
      resolve();
    };
    socket.on('data', look);
  });
}
