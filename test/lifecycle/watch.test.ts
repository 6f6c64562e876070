// --watch: the server reloads when a file has changed.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mpserve } from '../cli/command.ts';
import { ask } from '../helpers/control.ts';
import { eventually } from '../helpers/eventually.ts';
import { repeating } from '../helpers/placements.ts';
import { isAlive } from '../helpers/process-tree.ts';
import { type Server, startServer } from '../helpers/server.ts';
import { answering } from '../helpers/site.ts';
import { connect } from '../helpers/wire.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(path.join(tmpdir(), 'mpserve-watching-'));
});
afterAll(() => rmSync(root, { recursive: true }));

/** The directory of an app whose answer comes from another file. */
function site(config: object = {}): (name: string, text: string) => string {
  const cwd = mkdtempSync(path.join(root, 'site-'));
  mkdirSync(path.join(cwd, 'lib'));
  const put = (name: string, text: string): string => {
    writeFileSync(path.join(cwd, name), text);
    return cwd;
  };
  put('app.cjs', "module.exports = require('./lib/answer.cjs');");
  put('lib/answer.cjs', answering('first'));
  put('mpserve.config.json', JSON.stringify(config));
  return put;
}

async function answerOf(server: Server): Promise<string> {
  using wire = await connect(server.url);
  return (await wire.ask('GET /')).body;
}

const events = (server: Server, name: string) => server.lines.filter(({ event }) => event === name);

const models = ['prefork', 'prethread', 'ppc'];

for (const model of models) {
  test.concurrent(
    `${model}: a change is served, a broken one is not, and the log names the file`,
    repeating(model, models),
    async () => {
      const put = site();
      const cwd = put('lib/other.cjs', '');
      const args = ['--watch', '--pid-file', 'app.pid', '--access-log', 'access.log'];
      await using server = await startServer({ app: 'app.cjs', model, args, cwd });
      expect(await answerOf(server)).toBe('first');

      put('lib/answer.cjs', answering('second'));
      await server.waitFor('the reload', ({ event }) => event === 'reloaded');
      expect(await answerOf(server)).toBe('second');

      put('app.cjs', 'this is no JavaScript');
      const failed = await server.waitFor('the failure', ({ event }) => event === 'operation-failed');
      expect(failed.reason).toContain('app.cjs');
      if (model !== 'ppc') expect(await answerOf(server)).toBe('second'); // it loads the file for each connection

      put('app.cjs', answering('third'));
      await server.waitFor(
        'the next reload',
        ({ event, generation }) => event === 'reloaded' && Number(generation) > 2,
      );
      expect(await answerOf(server)).toBe('third');
      expect(events(server, 'reloading').map(({ reason }) => reason)).toEqual([
        'lib/answer.cjs changed',
        'app.cjs changed',
        'app.cjs changed',
      ]);
    },
  );
}

test.concurrent('true in the configuration file, and a change of that file', async () => {
  const cwd = site({ watch: true, workers: 1 })('lib/other.cjs', '');
  await using server = await startServer({ app: 'app.cjs', cwd });
  writeFileSync(path.join(cwd, 'mpserve.config.json'), JSON.stringify({ watch: true, workers: 2 }));
  expect(await server.waitFor('the reload', ({ event }) => event === 'reloaded')).toMatchObject({ workers: 2 });
  expect(events(server, 'reloading')).toMatchObject([{ reason: 'mpserve.config.json changed' }]);
});

test.concurrent('a change during another action is served after it', async () => {
  const put = site();
  const cwd = put('lib/other.cjs', '');
  const control = path.join(cwd, 'ctl');
  await using server = await startServer({ app: 'app.cjs', args: ['--watch=lib', '--control', control], cwd });
  // Loads for as long as the file says: the reload that it delays is in progress when the next file changes.
  put('app.cjs', "while (!require('node:fs').existsSync('go')) {}\nmodule.exports = require('./lib/answer.cjs');");
  const reload = ask(control, 'POST', '/reload');
  await server.waitFor('the first reload', ({ event }) => event === 'reloading');
  put('lib/answer.cjs', answering('second'));
  put('go', '');
  expect(await reload).toMatchObject({ status: 200 });
  await server.waitFor('the second reload', ({ reason }) => reason === 'lib/answer.cjs changed');
  await server.waitFor('the second generation', ({ event, generation }) => event === 'reloaded' && generation === 3);
  expect(await answerOf(server)).toBe('second');
});

test.concurrent('after an upgrade the new server watches, and not the old one', async () => {
  const put = site();
  const cwd = put('lib/other.cjs', '');
  const control = path.join(cwd, 'ctl');
  const server = await startServer({ app: 'app.cjs', args: ['--watch', '--control', control], cwd });
  try {
    expect(await ask(control, 'POST', '/upgrade')).toMatchObject({ status: 200 });
    await eventually('the old server to exit', () => !isAlive(server.pid));
    put('lib/answer.cjs', answering('second'));
    await eventually('the reload', async () => (await ask(control, 'GET', '/status')).json.last?.action === 'reload');
    expect(await answerOf(server)).toBe('second');
    expect(await ask(control, 'POST', '/stop')).toMatchObject({ status: 200 });
    await server.noneLeft();
    expect(events(server, 'reloading')).toMatchObject([{ reason: 'lib/answer.cjs changed' }]);
  } finally {
    await server.kill();
  }
});

test.concurrent('a path that does not exist', async () => {
  const cwd = site()('lib/other.cjs', '');
  expect(await mpserve(['app.cjs', '--watch=gone', '--bind', '127.0.0.1:0'], { cwd })).toEqual({
    code: 2,
    stdout: '',
    stderr: `mpserve: --watch names no file or directory: '${path.join(cwd, 'gone')}'\n`,
  });
});
