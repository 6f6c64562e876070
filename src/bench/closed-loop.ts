// A closed loop, by autocannon: each connection sends its next request as soon as it has the response to the last one.
import type { Socket } from 'node:net';
import autocannon from 'autocannon';
import { type Job, requestTimeoutMs } from './job.js';
import type { Tally } from './tally.js';

/** How often autocannon checks whether the duration is over. */
const durationCheckIntervalMs = 50;

/**
 * Resolves when the job's duration is over.
 * @param end stops the load early when aborted
 * @returns the duration in seconds
 */
export async function closedLoop(job: Job, tally: Tally, end?: AbortSignal): Promise<number> {
  const began = performance.now();
  await new Promise<void>((done, failed) => {
    const options: autocannon.Options & { sampleInt: number } = {
      url: job.origin,
      connections: job.connections,
      duration: job.durationMs / 1000,
      timeout: requestTimeoutMs / 1000,
      requests: job.requests.map(({ path, method, headers, body }) => ({
        path,
        method: method as 'GET',
        headers: { ...headers },
        ...(body === undefined ? {} : { body }),
      })),
      sampleInt: durationCheckIntervalMs,
      setupClient: (client) => countLostRequests(client, tally),
    };
    const run = autocannon(options, (error) => (error ? failed(error) : done()));
    end?.addEventListener('abort', () => run.stop());
    run.on('response', (_client, status, _bytes, milliseconds) => tally.recordResponse(status, milliseconds));
    run.on('reqError', (error: Error) => tally.recordError(/timed out/.test(error.message) ? 'timeout' : 'connection'));
  });
  return (performance.now() - began) / 1000;
}

/** The parts of autocannon's client that its types do not declare. */
interface ClientInternals {
  on(event: 'headers' | 'request' | 'response' | 'connError', listener: (head?: { headers?: unknown }) => void): void;
  readonly conn: Socket;
  readonly parser: { readonly type: string; reinitialize(type: string): void };
  readonly pipelinedRequests: { size(): number; clear(): void };
}

/**
 * Works around autocannon's handling of closed connections. When a server closes a connection without a response,
 * autocannon reconnects and takes the first response on the new connection for that of the lost request: it counts no
 * error, and every later latency of the client is too long. So before the client sends its next request, this function
 * removes lost requests from the client's queue and counts them as errors. It also resets the parser, which would take
 * the new connection's bytes for the rest of a truncated response.
 */
function countLostRequests(client: autocannon.Client, tally: Tally): void {
  const internals = client as unknown as ClientInternals;
  const { pipelinedRequests } = internals;
  let connection: Socket | undefined;
  let hasCloseHeader = false;
  let isCloseExpected = false;
  internals.on('headers', ({ headers } = {}) => {
    hasCloseHeader = hasConnectionClose(headers);
  });
  internals.on('response', () => {
    isCloseExpected = hasCloseHeader;
  });
  internals.on('connError', () => pipelinedRequests.clear()); // autocannon counts these itself
  internals.on('request', () => {
    const { conn, parser } = internals;
    if (conn === connection) {
      if (isCloseExpected) closeConnection(conn);
      return;
    }
    // A request that was queued after `connection: close` is not the server's error: other clients would not send it.
    if (connection && !isCloseExpected)
      for (let i = pipelinedRequests.size(); i > 0; i--) tally.recordError('connection');
    pipelinedRequests.clear();
    parser.reinitialize(parser.type);
    connection = conn;
    hasCloseHeader = isCloseExpected = false;
  });
}

/** Closes a connection after `connection: close`, where autocannon would send more requests, which a server may ignore. */
function closeConnection(connection: Socket): void {
  connection.destroy();
  setImmediate(() => connection.emit('end'));
}

/** @param headers alternating names and values, as from llhttp */
function hasConnectionClose(headers: unknown): boolean {
  if (!Array.isArray(headers)) return false;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i].length === 10 && headers[i].toLowerCase() === 'connection')
      return /(?:^|[\s,])close(?:$|[\s,])/i.test(headers[i + 1]);
  }
  return false;
}
