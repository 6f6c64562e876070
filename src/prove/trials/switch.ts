// Another model under the same clients, and another, and back.
import { actions } from '../../control/protocol.js';
import { atRest, breath, type Trial } from '../trial.js';
import { circuit, star } from '../walk.js';

export const switching: Trial = {
  name: 'switch',
  summary: 'to each other model and back, or once from each to each (--switches all)',
  excuse: ({ counts }) => {
    if (counts.switches === 'none') return '--switches none';
    return (actions as readonly string[]).includes('switch') ? undefined : 'this server cannot';
  },
  async run(stage) {
    const { server, facts, others, counts, pause } = stage;
    const way = (counts.switches === 'all' ? circuit : star)(facts.name, others);
    for (const [i, from] of way.slice(0, -1).entries()) {
      const to = way[i + 1] as string;
      const outcome = await server.act('switch', { options: { model: to } });
      if (!outcome.ok) throw new Error(`the switch from ${from} to ${to} has failed: ${outcome.error}`);
      const { model } = await server.status();
      if (model !== to) throw new Error(`after a switch from ${from} to ${to} the model is ${model}`);
      await pause(breath);
    }
    await atRest(stage);
    return { times: way.length - 1 };
  },
};
