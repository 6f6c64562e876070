// An open loop: requests are due at a steady rate and are sent then, whether or not those before have been answered.
// The time of an answer counts from when its request was due, so that a server which stalls cannot hide the requests
// that it kept from being sent ("coordinated omission"). Not autocannon, which sends a second's worth at once.
import { Agent, type ClientRequest, request as send } from 'node:http';
import { type Job, type Load, type Request, timeoutMs } from './job.js';
import type { Tally } from './tally.js';

/** Settles when the last answer is there, or given up. @returns for how many seconds requests were due */
export async function openLoop(job: Job, load: Extract<Load, { kind: 'open' }>, tally: Tally): Promise<number> {
  const { origin, connections, durationMs, requests } = job;
  const { rate, every, beside } = load;
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const pending = new Set<Promise<void>>();
  const total = Math.max(1, Math.round((rate * durationMs) / 1000));
  const began = performance.now();
  const besides = beside && repeat(origin, beside, began + durationMs);
  for (let sent = 0; sent < total; ) {
    const due = began + (sent * 1000) / rate;
    const early = due - performance.now();
    if (early > 0) {
      // A timer may be a millisecond late; the time is measured from when it was due all the same.
      await new Promise((later) => setTimeout(later, early));
      continue;
    }
    sent++;
    const isOther = every !== undefined && sent % every.count === 0;
    const request = isOther ? every.request : (requests[sent % requests.length] as Request);
    const answer = ask(origin, agent, request).then(
      (status) => isOther || tally.answered(status, performance.now() - due),
      (error: NodeJS.ErrnoException) => isOther || tally.failed(error === late ? 'timeout' : 'connection'),
    );
    const done = answer.then(() => void pending.delete(done));
    pending.add(done);
  }
  await Promise.all(pending);
  await besides;
  agent.destroy();
  return durationMs / 1000;
}

const late = new Error('no answer in time');

/** @returns the status, when the answer is complete */
function ask(origin: string, agent: Agent, { path, method, headers, body }: Request): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent: ClientRequest = send(origin, { agent, path, method, headers: { ...headers } });
    const timer = setTimeout(() => sent.destroy(late), timeoutMs);
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      settle();
    };
    sent.once('error', (error) => end(() => reject(error)));
    sent.once('response', (answer) => {
      answer.once('end', () => end(() => resolve(answer.statusCode ?? 0)));
      answer.once('error', (error) => end(() => reject(error)));
      answer.resume();
    });
    sent.end(body);
  });
}

/** Sends `request` over and over, on a connection of its own, until the time is `until`. Never rejects. */
async function repeat(origin: string, request: Request, until: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  while (performance.now() < until) {
    await ask(origin, agent, request).catch(() => new Promise((later) => setTimeout(later, 10)));
  }
  agent.destroy();
}
