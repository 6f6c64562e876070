// A release that cannot be loaded: the reload must fail, and what served before must go on.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { atRest, breath, type Trial } from '../trial.js';

export const broken: Trial = {
  name: 'broken',
  summary: 'a reload with an app that throws while it loads, which must fail, and then one with the app as it was',
  async run(stage) {
    const { server, pause } = stage;
    const app = path.join(server.folder, 'broken.cjs');
    writeFileSync(app, "throw new Error('broken on purpose by mpserve prove');\n");
    server.configure({ app });
    const outcome = await server.act('reload');
    server.configure({});
    if (outcome.ok) throw new Error('an app that throws while it loads was taken for a sound one');
    if (outcome.refused) throw new Error(`the reload was refused: ${outcome.error}`);
    await pause(breath);
    const mended = await server.act('reload');
    if (!mended.ok) throw new Error(`the reload after it has failed: ${mended.error}`);
    await atRest(stage);
    return { times: 1 };
  },
};
