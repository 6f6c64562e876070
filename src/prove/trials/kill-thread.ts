// A thread ends by itself: only what ran on it may break. With --unit request that is its requests, which are answered with
// 502, and no connection.
import { faultEnv, faultSettings, lostWithThread, sendFault } from '../fault-request.js';
import { reconnectMs, type Trial, untilSettled } from '../trial.js';

export const killThread: Trial = {
  name: 'kill-thread',
  summary: 'end a thread from within, by process.exit()',
  skipReason: ({ facts }) => (facts.threaded ? undefined : 'this model has no threads'),
  settings: faultSettings,
  env: faultEnv,
  async run(context) {
    const { server, sleep } = context;
    const { over } = await sendFault(context, 'exit');
    await server.waitForEvent('thread-lost');
    await over;
    await sleep(reconnectMs);
    await untilSettled(context);
    return { times: 1, ...lostWithThread(context) };
  },
};
