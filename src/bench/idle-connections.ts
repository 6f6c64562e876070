// The idle load: opens connections, sends one request on each, and keeps them open and idle until the job ends.
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Job, type Request, requestTimeoutMs } from './job.js';
import { requestText } from './request-text.js';
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
      const outcome = await firstResponse(socket, job.requests[0] as Request, end - openedAt);
      if (typeof outcome === 'number') {
        tally.recordResponse(outcome, performance.now() - openedAt);
        answered.add(socket);
        held = Math.max(held, answered.size);
      } else {
        socket.destroy();
        if (outcome !== undefined) tally.recordError(outcome);
      }
    }
  };
  await Promise.all(Array.from({ length: openConcurrency }, opener));
  await sleep(Math.max(0, end - performance.now()));
  for (const socket of answered) socket.destroy();
  return { seconds: (performance.now() - began) / 1000, held };
}

/** @returns the status of the response, or how the request failed; undefined if neither is known after `ms` */
function firstResponse(
  socket: Socket,
  request: Request,
  ms: number,
): Promise<number | 'connection' | 'timeout' | undefined> {
  socket.write(requestText(request));
  return new Promise((resolve) => {
    const late = ms < requestTimeoutMs ? undefined : 'timeout';
    const timer = setTimeout(resolve, Math.max(0, Math.min(ms, requestTimeoutMs)), late);
    const end = (outcome: number | 'connection'): void => {
      clearTimeout(timer);
      resolve(outcome);
    };
    socket.on('error', () => {}); // 'close' follows
    socket.once('close', () => end('connection'));
    socket.once('data', (head) => end(Number(head.toString('latin1').split(' ')[1])));
  });
}
