// Upgrades: a successor process, perhaps of another version of mpserve or Node, replaces the server.
import { type Action, actions } from '../../control/protocol.js';
import { operationIntervalMs, type Trial, untilSettled } from '../trial.js';

export const upgrade: Trial = {
  name: 'upgrade',
  summary: 'replace the server process by a successor (--upgrades)',
  skipReason: ({ options }) => {
    if (options.upgrades === 0) return '--upgrades 0';
    return (actions as readonly string[]).includes('upgrade') ? undefined : 'this server cannot upgrade';
  },
  async run(context) {
    const { server, options, sleep } = context;
    for (let i = 1; i <= options.upgrades; i++) {
      const outcome = await server.act('upgrade' as Action);
      if (!outcome.ok) throw new Error(`upgrade ${i} failed: ${outcome.error}`);
      await server.waitForSuccessor();
      await sleep(operationIntervalMs);
    }
    await untilSettled(context);
    return { times: options.upgrades };
  },
};
