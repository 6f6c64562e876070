// A new server process takes over from the old one: a new version of mpserve, or of Node.
import { type Action, actions } from '../../control/protocol.js';
import { atRest, breath, type Trial } from '../trial.js';

export const upgrade: Trial = {
  name: 'upgrade',
  summary: 'a new server process takes over, and the old one ends (--upgrades)',
  excuse: ({ counts }) => {
    if (counts.upgrades === 0) return '--upgrades 0';
    return (actions as readonly string[]).includes('upgrade') ? undefined : 'this server cannot';
  },
  async run(stage) {
    const { server, counts, pause } = stage;
    for (let i = 1; i <= counts.upgrades; i++) {
      const outcome = await server.act('upgrade' as Action);
      if (!outcome.ok) throw new Error(`upgrade ${i} has failed: ${outcome.error}`);
      await server.succeeded();
      await pause(breath);
    }
    await atRest(stage);
    return { times: counts.upgrades };
  },
};
