// What `process` offers an app in a worker, in processes and in threads: messages as under pm2, and the working directory.
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

let folder: string;
beforeAll(() => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'mpserve-process-')));
});
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;
function app(code: string): string {
  const file = path.join(folder, `${++count}.cjs`);
  writeFileSync(file, code);
  return file;
}

async function body(url: string): Promise<string> {
  using wire = await connect(url);
  return (await wire.ask('GET /')).body;
}

describe.concurrent.each(['ppc', 'prefork', 'tpc', 'prethread', 'hybrid'])('%s', (model) => {
  test('--wait-ready: a worker serves when the app has said that it is ready', async () => {
    const late = app(`
      let said = false;
      require('node:http').createServer((_, res) => res.end(String(said))).listen(3000);
      setTimeout(() => { said = true; process.send('ready'); }, 200);
    `);
    await using server = await startServer({ app: late, model, args: ['--wait-ready'] });
    expect(await body(server.url)).toBe('true');
  });

  test('--wait-ready: an app that says nothing does not start', async () => {
    const silent = app("require('node:http').createServer((_, res) => res.end()).listen(3000);");
    const args = [silent, '--model', model, '--bind', '127.0.0.1:0', '--wait-ready', '--boot-timeout', '8s'];
    const { code, stderr, left } = await runCli(args);
    expect({ code, left }).toEqual({ code: 4, left: [] });
    expect(stderr).toMatch(
      /the app has not called process\.send\('ready'\) \(--wait-ready\), 8000 ms after it had loaded/,
    );
  });

  test('--shutdown-message: the app hears that it should end, and has time to', async () => {
    const file = path.join(folder, `${model}.log`);
    const tidy = app(`
      process.on('message', (message) => {
        if (message === 'shutdown') setTimeout(() => require('node:fs').appendFileSync(${JSON.stringify(file)}, 'tidy'), 50);
      });
      module.exports = (_, res) => res.end();
    `);
    const server = await startServer({ app: tidy, model, args: ['--shutdown-message', '--spares', '1'] });
    await body(server.url);
    await server.stop();
    expect(readFileSync(file, 'utf8')).toMatch(/^(tidy)+$/);
  });

  test('an app goes to its own folder, or to where it is', async () => {
    const moving = app(`
      process.chdir(process.cwd());
      process.chdir(__dirname);
      module.exports = (_, res) => res.end([process.cwd(), require('node:fs').realpathSync('.')].join());
    `);
    await using server = await startServer({ app: moving, model, cwd: tmpdir() });
    expect(await body(server.url)).toBe([folder, folder].join());
  });
});

test.concurrent('elsewhere a thread cannot go, and the error says which models can', async () => {
  const lost = app("process.chdir('/'); module.exports = (_, res) => res.end();");
  const { code, stderr } = await runCli([lost, '--model', 'prethread', '--bind', '127.0.0.1:0']);
  expect(code).toBe(4);
  expect(stderr).toMatch(/process\.chdir\(\) is not supported in workers.*use a model whose workers are processes/);
});
