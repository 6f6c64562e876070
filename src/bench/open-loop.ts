// An open loop: sends requests at a steady rate, whether or not earlier requests have completed. Latency counts from the
// scheduled time of a request, so a stall shows in full (no "coordinated omission"). autocannon's own rate limit does not
// do that: it sends a second's worth of requests at once.
import { Agent, type ClientRequest, request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Job, type Load, type Request, requestTimeoutMs } from './job.js';
import type { Tally } from './tally.js';

/**
 * Resolves when the last request has completed or failed.
 * @returns for how long requests were scheduled (`seconds`), and how many responses came `inTime`, within these
 */
export async function openLoop(
  job: Job,
  load: Extract<Load, { kind: 'open' }>,
  tally: Tally,
): Promise<{ seconds: number; inTime: number }> {
  const { origin, connections, durationMs, requests } = job;
  const { rate, every, background } = load;
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const pending = new Set<Promise<void>>();
  const total = Math.max(1, Math.round((rate * durationMs) / 1000));
  const began = performance.now();
  const end = began + durationMs;
  let inTime = 0;
  const backgroundDone = background && repeat(origin, background, end);
  for (let sent = 0; sent < total; ) {
    const due = began + (sent * 1000) / rate;
    const early = due - performance.now();
    if (early > 0) {
      // A timer may fire a millisecond late; the latency counts from the scheduled time all the same.
      await sleep(early);
      continue;
    }
    sent++;
    const isUncounted = every !== undefined && sent % every.count === 0;
    const request = isUncounted ? every.request : (requests[sent % requests.length] as Request);
    const outcome = send(origin, agent, request).then(
      (status) => {
        if (isUncounted) return;
        const now = performance.now();
        if (now <= end) inTime++;
        tally.recordResponse(status, now - due);
      },
      (error: NodeJS.ErrnoException) =>
        isUncounted || tally.recordError(error === timeoutError ? 'timeout' : 'connection'),
    );
    const done = outcome.then(() => void pending.delete(done));
    pending.add(done);
  }
  await Promise.all(pending);
  await backgroundDone;
  agent.destroy();
  return { seconds: durationMs / 1000, inTime };
}

/** After a failed background request. */
const retryDelayMs = 10;

const timeoutError = new Error('the request timed out');

/** @returns the status, when the response is complete @throws timeoutError, or the error of the connection */
function send(origin: string, agent: Agent, { path, method, headers, body }: Request): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent: ClientRequest = httpRequest(origin, { agent, path, method, headers: { ...headers } });
    const timer = setTimeout(() => sent.destroy(timeoutError), requestTimeoutMs);
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      settle();
    };
    sent.once('error', (error) => end(() => reject(error)));
    sent.once('response', (response) => {
      response.once('end', () => end(() => resolve(response.statusCode ?? 0)));
      response.once('error', (error) => end(() => reject(error)));
      response.resume();
    });
    sent.end(body);
  });
}

/** Sends `request` in a closed loop on a separate connection until the time `until`. Never rejects. */
async function repeat(origin: string, request: Request, until: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  while (performance.now() < until) {
    await send(origin, agent, request).catch(() => sleep(retryDelayMs));
  }
  agent.destroy();
}
