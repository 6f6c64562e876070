// A closed loop, by autocannon: each connection sends its next request when it has its answer, as fast as it can.
import autocannon from 'autocannon';
import { type Job, timeoutMs } from './job.js';
import type { Tally } from './tally.js';

/** How often autocannon looks whether its time is over (milliseconds). */
const lookEvery = 50;

/** Settles when the time is over. @returns for how many seconds it ran */
export async function closedLoop(job: Job, tally: Tally): Promise<number> {
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
    run.on('response', (_client, status, _bytes, milliseconds) => tally.answered(status, milliseconds));
    run.on('reqError', (error: Error) => tally.failed(/timed out/.test(error.message) ? 'timeout' : 'connection'));
  });
  return (performance.now() - began) / 1000;
}

/** What autocannon does not declare of its client. */
interface Insides {
  on(event: 'headers' | 'request', listener: (head?: { headers?: unknown }) => void): void;
  readonly conn: object;
  readonly pipelinedRequests: { size(): number; clear(): void };
}

/**
 * Where a server closes a connection without an answer, autocannon opens another and takes the first answer there for
 * that of the lost request: it counts no error, and every later latency of this client is too long. So the lost
 * request is taken out of its queue, before it sends the next, and counted.
 */
function countLost(client: autocannon.Client, tally: Tally): void {
  const insides = client as unknown as Insides;
  const { pipelinedRequests } = insides;
  let connection: object | undefined;
  let wasAnnounced = false;
  insides.on('headers', ({ headers } = {}) => {
    wasAnnounced = announcesClose(headers);
  });
  insides.on('request', () => {
    const { conn } = insides;
    if (conn === connection) return;
    // After `connection: close` nobody else would have sent it.
    if (connection && !wasAnnounced) for (let i = pipelinedRequests.size(); i > 0; i--) tally.failed('connection');
    pipelinedRequests.clear();
    connection = conn;
    wasAnnounced = false;
  });
}

/** @param headers names and values in turn, as llhttp has them */
function announcesClose(headers: unknown): boolean {
  if (!Array.isArray(headers)) return false;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i].length === 10 && headers[i].toLowerCase() === 'connection')
      return headers[i + 1].toLowerCase() === 'close';
  }
  return false;
}
