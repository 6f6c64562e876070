// Adds and removes one worker, alternately.
import { operationIntervalMs, type Trial, untilSettled } from '../trial.js';

export const scale: Trial = {
  name: 'scale',
  summary: 'add and remove one worker, alternately (--scalings)',
  skipReason: ({ facts }) => (facts.workers ? undefined : 'this model has no --workers setting'),
  async run(context) {
    const { server, options, sleep } = context;
    for (let i = 1; i <= options.scalings; i++) {
      const workers = i % 2 === 1 ? '+1' : '-1';
      const outcome = await server.act('scale', { workers });
      if (!outcome.ok) throw new Error(`scaling ${i} (${workers}) failed: ${outcome.error}`);
      await sleep(operationIntervalMs);
    }
    await untilSettled(context);
    return { times: options.scalings };
  },
};
