// Repeated reloads of the configuration and the app.
import { operationIntervalMs, type Trial, untilSettled } from '../trial.js';

export const reload: Trial = {
  name: 'reload',
  summary: 'reload the configuration and the app (--reloads)',
  async run(context) {
    const { server, options, sleep } = context;
    for (let i = 1; i <= options.reloads; i++) {
      const outcome = await server.act('reload');
      if (!outcome.ok) throw new Error(`reload ${i} failed: ${outcome.error}`);
      await sleep(operationIntervalMs);
    }
    await untilSettled(context);
    return { times: options.reloads };
  },
};
