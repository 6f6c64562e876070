// The idle load: opens connections, sends one request on each, and keeps them open and idle until the job ends.
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job, Request } from './job.js';
import type { Tally } from './tally.js';

/** Connections that are opened at the same time. */
const openConcurrency = 32;

/** @returns the duration in `seconds`, and `held`, the most connections that were open and had an answer at the same time */
export async function idleConnections(job: Job, tally: Tally): Promise<{ seconds: number; held: number }> {
  const { hostname, port } = new URL(job.origin);
  const began = performance.now();
  const end = began + job.durationMs;
  const answered = new Set<Socket>();
  let opened = 0;
  let held = 0;
  const opener = async (): Promise<void> => {
    while (opened < job.connections && performance.now() < end) {
      opened++;
      const openedAt = performance.now();
      const socket = connect(Number(port), hostname);
      socket.once('close', () => answered.delete(socket));
      const status = await firstStatus(socket, job.requests[0] as Request, end - openedAt);
      if (status === undefined) socket.destroy();
      else {
        tally.recordResponse(status, performance.now() - openedAt);
        answered.add(socket);
        held = Math.max(held, answered.size);
      }
    }
  };
  await Promise.all(Array.from({ length: openConcurrency }, opener));
  await sleep(Math.max(0, end - performance.now()));
  for (const socket of answered) socket.destroy();
  return { seconds: (performance.now() - began) / 1000, held };
}

/** @returns the status of the response; undefined if none began within `ms` or the connection was closed */
function firstStatus(socket: Socket, { path, method, headers }: Request, ms: number): Promise<number | undefined> {
  const fields = Object.entries({ host: 'localhost', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`${method} ${path} HTTP/1.1\r\n${fields.join('')}\r\n`);
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, Math.max(0, ms), undefined);
    socket.on('error', () => {}); // 'close' follows
    socket.once('close', () => resolve(undefined));
    socket.once('data', (head) => {
      clearTimeout(timer);
      resolve(Number(head.toString('latin1').split(' ')[1]));
    });
  });
}
