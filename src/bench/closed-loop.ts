// A closed loop, by autocannon: each connection sends its next request when it has its answer, as fast as it can.
import type { Socket } from 'node:net';
import autocannon from 'autocannon';
import { type Job, timeoutMs } from './job.js';
import type { Tally } from './tally.js';

/** How often autocannon looks whether its time is over (milliseconds). */
const lookEvery = 50;

/**
 * Settles when the time is over.
 * @param end ends it before, by what has happened instead of by the clock
 * @returns for how many seconds it ran
 */
export async function closedLoop(job: Job, tally: Tally, end?: AbortSignal): Promise<number> {
  const began = performance.now();
  await new Promise<void>((done, failed) => {
    const options: autocannon.Options & { sampleInt: number } = {
      url: job.origin,
      connections: job.connections,
      duration: job.durationMs / 1000,
      timeout: timeoutMs / 1000,
      requests: job.requests.map(({ path, method, headers, body }) => ({
        path,
        method: method as 'GET',
        headers: { ...headers },
        ...(body === undefined ? {} : { body }),
      })),
      sampleInt: lookEvery,
      setupClient: (client) => countLost(client, tally),
    };
    const run = autocannon(options, (error) => (error ? failed(error) : done()));
    end?.addEventListener('abort', () => run.stop());
    run.on('response', (_client, status, _bytes, milliseconds) => tally.answered(status, milliseconds));
    run.on('reqError', (error: Error) => tally.failed(/timed out/.test(error.message) ? 'timeout' : 'connection'));
  });
  return (performance.now() - began) / 1000;
}

/** What autocannon does not declare of its client. */
interface Insides {
  on(event: 'headers' | 'request' | 'response' | 'connError', listener: (head?: { headers?: unknown }) => void): void;
  readonly conn: Socket;
  readonly parser: { readonly type: string; reinitialize(type: string): void };
  readonly pipelinedRequests: { size(): number; clear(): void };
}

/**
 * Where a server closes a connection without an answer, autocannon opens another and takes the first answer there for
 * that of the lost request: it counts no error, and every later latency of this client is too long. So the lost
 * request is taken out of its queue, before it sends the next, and counted. Nor does it forget the first half of an
 * answer that was broken off, and would take what comes on the next connection for the rest of it.
 */
function countLost(client: autocannon.Client, tally: Tally): void {
  const insides = client as unknown as Insides;
  const { pipelinedRequests } = insides;
  let connection: Socket | undefined;
  let isLast = false;
  let wasAnnounced = false;
  insides.on('headers', ({ headers } = {}) => {
    isLast = announcesClose(headers);
  });
  insides.on('response', () => {
    wasAnnounced = isLast;
  });
  insides.on('connError', () => pipelinedRequests.clear()); // counted as it is
  insides.on('request', () => {
    const { conn, parser } = insides;
    if (conn === connection) {
      if (wasAnnounced) leave(conn);
      return;
    }
    // After `connection: close` nobody else would have sent it.
    if (connection && !wasAnnounced) for (let i = pipelinedRequests.size(); i > 0; i--) tally.failed('connection');
    pipelinedRequests.clear();
    parser.reinitialize(parser.type);
    connection = conn;
    isLast = wasAnnounced = false;
  });
}

/** As if the server had closed it: autocannon would go on asking where nobody is bound to answer. */
function leave(connection: Socket): void {
  connection.destroy();
  setImmediate(() => connection.emit('end'));
}

/** @param headers names and values in turn, as llhttp has them */
function announcesClose(headers: unknown): boolean {
  if (!Array.isArray(headers)) return false;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i].length === 10 && headers[i].toLowerCase() === 'connection')
      return /(?:^|[\s,])close(?:$|[\s,])/i.test(headers[i + 1]);
  }
  return false;
}
