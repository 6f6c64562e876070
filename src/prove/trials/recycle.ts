// Workers and threads reach `--max-requests` and are replaced.
import type { Trial } from '../trial.js';

const minReplacements = 4;
/** The clients of the last replaced worker or thread need time to move on (milliseconds). */
const drainMs = 1000;

export const recycle: Trial = {
  name: 'recycle',
  summary: 'replace workers or threads that have reached --max-requests',
  skipReason: ({ facts }) => (facts.once ? 'a worker of this model serves one connection only' : undefined),
  // The requests of about one second, so that at most two workers or threads reach the limit in a second.
  settings: (_, requestsPerSecond) => ({
    maxRequests: Math.max(20, Math.round(requestsPerSecond)),
    maxRequestsJitter: 0,
  }),
  async run({ server, sleep }) {
    const events = ['worker-recycled', 'thread-recycled'];
    await server.waitForEvent(events, minReplacements);
    await sleep(drainMs);
    return { times: server.logLines.filter(({ event }) => events.includes(event)).length };
  },
};
