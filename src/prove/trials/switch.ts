// Switches to other models under load, and back.
import { actions } from '../../control/protocol.js';
import { operationIntervalMs, type Trial, untilSettled } from '../trial.js';
import { circuit, star } from '../walk.js';

export const switching: Trial = {
  name: 'switch',
  summary: 'switch to each other model and back, or from each to each (--switches all)',
  skipReason: ({ options }) => {
    if (options.switches === 'none') return '--switches none';
    return (actions as readonly string[]).includes('switch') ? undefined : 'this server cannot switch models';
  },
  async run(context) {
    const { server, facts, otherModels, options, sleep } = context;
    const walk = (options.switches === 'all' ? circuit : star)(facts.name, otherModels);
    for (const [i, from] of walk.slice(0, -1).entries()) {
      const to = walk[i + 1] as string;
      const outcome = await server.act('switch', { options: { model: to } });
      if (!outcome.ok) throw new Error(`the switch from ${from} to ${to} failed: ${outcome.error}`);
      const { model } = await server.status();
      if (model !== to) throw new Error(`after the switch from ${from} to ${to} the model is ${model}`);
      await sleep(operationIntervalMs);
    }
    await untilSettled(context);
    return { times: walk.length - 1 };
  },
};
