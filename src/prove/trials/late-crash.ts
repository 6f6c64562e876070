// Releases that are ready and fail a moment later: each reload must fail before a client notices, and the old generation
// must keep serving.
import { hasProc } from '../../os/process-tree.js';
import type { Workload } from '../messages.js';
import { reloadRefused, type Trial, untilSettled } from '../trial.js';

/** From the first response of a release until it fails (milliseconds). */
const soundMs = 300;
const readyPath = '/mpserve-prove-ready';

/** What each release does when it fails; before, it answers. */
const failures: Readonly<Record<string, string>> = {
  throws: "throw new Error('broken on purpose by mpserve prove')",
  'answers 500': 'answer = (_, res) => res.writeHead(500).end()',
  'becomes slow': 'answer = (_, res) => setTimeout(() => res.end(), 60_000)',
  ...(hasProc && { 'leaks memory': 'for (let i = 0; i < 10; i++) leaked.push(Buffer.alloc(50e6, 1))' }),
};

/** Of each release: it must be ready all the time, answer quickly, and stay small; the user's settings on when an app is ready are not for it. */
const settings = { readyPath, waitReady: false, serve: 'auto', bootTimeout: '3s', maxMemory: '400M' };
/** What the server says of workers that failed after they were ready. */
const error = 'the new workers failed and are rolled back';

/**
 * It answers clients as the user's app does, because it may serve before it fails.
 * @param failure a statement
 * @returns the code of a release
 */
export const releaseCode = (failure: string, { status, upload }: Pick<Workload, 'status' | 'upload'>): string => `
const leaked = [];
const statusOf = ({ url, method }) =>
  url === '${readyPath}' ? 200 : method === 'POST' ? ${upload?.status ?? status} : ${status};
let answer = (req, res) => req.resume().once('end', () => res.writeHead(statusOf(req)).end());
require('node:http').createServer((req, res) => answer(req, res))
  .once('request', () => setTimeout(() => { ${failure}; }, ${soundMs}))
  .listen(0);
`;

export const lateCrash: Trial = {
  name: 'late-crash',
  summary: 'reload releases that fail soon after they were ready, which must fail; then reload the working app',
  async run(context) {
    const { server, workload } = context;
    for (const [words, failure] of Object.entries(failures)) {
      const code = releaseCode(failure, workload);
      await reloadRefused(
        context,
        { words: `a release that ${words} after it was ready`, code, settings, error },
        2 * soundMs,
      );
    }
    await server.perform('the reload of the working app', 'reload');
    await untilSettled(context);
    return { times: Object.keys(failures).length };
  },
};
