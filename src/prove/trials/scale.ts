// A worker more, a worker less, in turn.
import { atRest, breath, type Trial } from '../trial.js';

export const scale: Trial = {
  name: 'scale',
  summary: 'one worker more and one less, in turn (--scalings)',
  excuse: ({ facts }) => (facts.workers ? undefined : 'this model has no number of workers to change'),
  async run(stage) {
    const { server, counts, pause } = stage;
    for (let i = 1; i <= counts.scalings; i++) {
      const workers = i % 2 === 1 ? '+1' : '-1';
      const outcome = await server.act('scale', { workers });
      if (!outcome.ok) throw new Error(`scaling ${i} (${workers}) has failed: ${outcome.error}`);
      await pause(breath);
    }
    await atRest(stage);
    return { times: counts.scalings };
  },
};
