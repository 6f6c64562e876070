// Releases that are ready and fail a moment later: each reload must fail before a client notices, and the old generation
// must keep serving.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { hasProc } from '../../os/process-tree.js';
import { reloadRefused, type Trial, untilSettled } from '../trial.js';

/** From the load of a release until it fails (milliseconds). */
const soundMs = 300;

/** What each release does when it fails; before, it answers. */
const failures: Readonly<Record<string, string>> = {
  throws: "throw new Error('broken on purpose by mpserve prove')",
  'answers 500': 'answer = (res) => res.writeHead(500).end()',
  'becomes slow': 'answer = (res) => setTimeout(() => res.end(), 60_000)',
  ...(hasProc && { 'leaks memory': 'setInterval(() => leaked.push(Buffer.alloc(50e6, 1)), 20)' }),
};

/** Of each release: it must be ready all the time, answer quickly, and stay small. */
const settings = { readyPath: '/', bootTimeout: '3s', maxMemory: '400M' };

const code = (failure: string): string => `
const leaked = [];
let answer = (res) => res.end();
require('node:http').createServer((_, res) => answer(res)).listen(0);
setTimeout(() => { ${failure}; }, ${soundMs});
`;

export const lateCrash: Trial = {
  name: 'late-crash',
  summary: 'reload releases that fail soon after they were ready, which must fail; then reload the working app',
  async run(context) {
    const { server } = context;
    const app = path.join(server.directory, 'late-crash.cjs');
    for (const [words, failure] of Object.entries(failures)) {
      writeFileSync(app, code(failure));
      const release = `a release that ${words} after it was ready`;
      await reloadRefused(context, release, { app, ...settings }, 2 * soundMs);
    }
    await server.perform('the reload of the working app', 'reload');
    await untilSettled(context);
    return { times: Object.keys(failures).length };
  },
};
