// A broken release: the reload must fail, and the old generation must keep serving.
import { reloadRefused, type Trial, untilSettled } from '../trial.js';

const error = 'broken on purpose by mpserve prove';

export const broken: Trial = {
  name: 'broken',
  summary: 'reload an app that throws while it loads, which must fail; then reload the working app',
  async run(context) {
    const { server } = context;
    await reloadRefused(context, {
      words: 'an app that throws while it loads',
      code: `throw new Error('${error}');\n`,
      error,
    });
    await server.perform('the reload of the working app', 'reload');
    await untilSettled(context);
    return { times: 1 };
  },
};
