// A broken release: the reload must fail, and the old generation must keep serving.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { reloadRefused, type Trial, untilSettled } from '../trial.js';

export const broken: Trial = {
  name: 'broken',
  summary: 'reload an app that throws while it loads, which must fail; then reload the working app',
  async run(context) {
    const { server } = context;
    const app = path.join(server.directory, 'broken.cjs');
    writeFileSync(app, "throw new Error('broken on purpose by mpserve prove');\n");
    await reloadRefused(context, 'an app that throws while it loads', { app });
    await server.perform('the reload of the working app', 'reload');
    await untilSettled(context);
    return { times: 1 };
  },
};
