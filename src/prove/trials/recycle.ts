// Workers and threads that are replaced as they have served enough.
import type { Trial } from '../trial.js';

/** So many replacements are waited for. */
const wanted = 4;
/** What is replaced last is still to be left by its clients (milliseconds). */
const after = 1000;

export const recycle: Trial = {
  name: 'recycle',
  summary: 'workers or threads are replaced, as they have served enough (--max-requests)',
  excuse: ({ facts }) => (facts.once ? 'a worker of this model serves one connection only' : undefined),
  // What all clients ask in a second; at most two workers or threads have enough in each.
  settings: ({ rate }) => ({ maxRequests: Math.max(20, Math.round(rate)), maxRequestsJitter: 0 }),
  async run({ server, pause }) {
    const events = ['worker-recycled', 'thread-recycled'];
    await server.heard(events, wanted);
    await pause(after);
    return { times: server.lines.filter(({ event }) => events.includes(event)).length };
  },
};
