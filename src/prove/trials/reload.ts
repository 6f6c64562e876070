// The app and its configuration anew, again and again.
import { atRest, breath, type Trial } from '../trial.js';

export const reload: Trial = {
  name: 'reload',
  summary: 'the app and its configuration anew (--reloads)',
  async run(stage) {
    const { server, counts, pause } = stage;
    for (let i = 1; i <= counts.reloads; i++) {
      const outcome = await server.act('reload');
      if (!outcome.ok) throw new Error(`reload ${i} has failed: ${outcome.error}`);
      await pause(breath);
    }
    await atRest(stage);
    return { times: counts.reloads };
  },
};
