// Opens connections, has one answer on each, and holds them until the time is over.
import { connect, type Socket } from 'node:net';
import type { Job, Request } from './job.js';
import type { Tally } from './tally.js';

/** So many are being opened at the same time. */
const abreast = 32;

/** @returns for how many seconds it ran, and how many connections were held at the same time at most */
export async function hold(job: Job, tally: Tally): Promise<{ seconds: number; held: number }> {
  const { hostname, port } = new URL(job.origin);
  const began = performance.now();
  const end = began + job.durationMs;
  const sockets = new Set<Socket>();
  const answered = new Set<Socket>();
  let opened = 0;
  let held = 0;
  const opener = async (): Promise<void> => {
    while (opened < job.connections && performance.now() < end) {
      opened++;
      const asked = performance.now();
      const socket = connect(Number(port), hostname);
      sockets.add(socket);
      socket.once('close', () => {
        sockets.delete(socket);
        answered.delete(socket);
      });
      const status = await firstStatus(socket, job.requests[0] as Request, end - asked);
      if (status === undefined) socket.destroy();
      else {
        tally.answered(status, performance.now() - asked);
        answered.add(socket);
        held = Math.max(held, answered.size);
      }
    }
  };
  await Promise.all(Array.from({ length: abreast }, opener));
  await new Promise((over) => setTimeout(over, Math.max(0, end - performance.now())));
  for (const socket of sockets) socket.destroy();
  return { seconds: (performance.now() - began) / 1000, held };
}

/** The status of the answer, or undefined if none has begun within `ms`: it waits in the queue, or was turned away. */
function firstStatus(socket: Socket, { path, method, headers }: Request, ms: number): Promise<number | undefined> {
  const fields = Object.entries({ host: 'localhost', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`${method} ${path} HTTP/1.1\r\n${fields.join('')}\r\n`);
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, Math.max(0, ms), undefined);
    socket.on('error', () => {}); // and 'close' follows
    socket.once('close', () => resolve(undefined));
    socket.once('data', (head) => {
      clearTimeout(timer);
      resolve(Number(head.toString('latin1').split(' ')[1]));
    });
  });
}
