// A connection for each request: connects, asks, reads to the end, and then the next. Not autocannon, which writes
// its next request into the connection that is just being closed.
import { connect } from 'node:net';
import { type Job, type Request, timeoutMs } from './job.js';
import type { Tally } from './tally.js';

/** Settles when the time is over and the last answer is there. @returns for how many seconds it ran */
export async function oneEach({ origin, connections, durationMs, requests }: Job, tally: Tally): Promise<number> {
  const { hostname, port } = new URL(origin);
  const began = performance.now();
  let sent = 0;
  const client = async (): Promise<void> => {
    while (performance.now() < began + durationMs) {
      const asked = performance.now();
      const outcome = await exchange(hostname, Number(port), requests[sent++ % requests.length] as Request);
      if (typeof outcome === 'number') tally.answered(outcome, performance.now() - asked);
      else tally.failed(outcome);
    }
  };
  await Promise.all(Array.from({ length: connections }, client));
  return (performance.now() - began) / 1000;
}

/** @returns the status of the answer, or how it failed */
function exchange(host: string, port: number, request: Request): Promise<number | 'connection' | 'timeout'> {
  const { path, method, headers, body = '' } = request;
  const fields = {
    host: 'localhost',
    'content-length': String(Buffer.byteLength(body)),
    ...headers,
    connection: 'close',
  };
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.setTimeout(timeoutMs, () => end('timeout'));
    let status: number | undefined;
    const end = (outcome: number | 'connection' | 'timeout'): void => {
      socket.destroy();
      resolve(outcome);
    };
    socket.on('data', (data) => {
      status ??= Number(data.toString('latin1', 0, 12).split(' ')[1]);
    });
    socket.on('end', () => end(status ?? 'connection'));
    socket.on('error', () => end('connection'));
    socket.write(`${method} ${path} HTTP/1.1\r\n${head.join('')}\r\n${body}`);
  });
}
