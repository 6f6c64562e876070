// A closed loop with a new connection for each request, without keep-alive. Not by autocannon, which writes its next
// request to the connection that the server is closing.
import { connect } from 'node:net';
import { ResponseReader } from '../testbed/response-reader.js';
import { type Job, type Request, requestTimeoutMs } from './job.js';
import { requestText } from './request-text.js';
import type { Tally } from './tally.js';

/** Resolves after the job's duration, when the last request has completed. @returns the duration in seconds */
export async function connectionPerRequest(
  { origin, connections, durationMs, requests }: Job,
  tally: Tally,
): Promise<number> {
  const { hostname, port } = new URL(origin);
  const began = performance.now();
  let sent = 0;
  const client = async (): Promise<void> => {
    while (performance.now() < began + durationMs) {
      const sentAt = performance.now();
      const outcome = await exchange(hostname, Number(port), requests[sent++ % requests.length] as Request);
      if (typeof outcome === 'number') tally.recordResponse(outcome, performance.now() - sentAt);
      else tally.recordError(outcome);
    }
  };
  await Promise.all(Array.from({ length: connections }, client));
  return (performance.now() - began) / 1000;
}

/** @returns the status of the response, or how the request failed */
function exchange(host: string, port: number, request: Request): Promise<number | 'connection' | 'timeout'> {
  const reader = new ResponseReader(request.method === 'HEAD');
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.setTimeout(requestTimeoutMs, () => end('timeout'));
    let status: number | undefined;
    const end = (outcome: number | 'connection' | 'timeout'): void => {
      socket.destroy();
      resolve(outcome);
    };
    const read = (statusOf: () => number | undefined): void => {
      try {
        status ??= statusOf();
      } catch {
        end('connection'); // the response is incomplete or invalid
      }
    };
    socket.on('data', (data) => read(() => reader.push(data)?.status));
    socket.on('end', () => {
      read(() => reader.end().status);
      if (status !== undefined) end(status);
    });
    socket.on('error', () => end('connection'));
    socket.write(requestText(request, { connection: 'close' }));
  });
}
