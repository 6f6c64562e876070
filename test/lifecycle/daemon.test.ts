// A server in the background: the command ends when it is ready or has failed, and pid file and control socket lead to it.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mpserve } from '../cli/command.ts';
import { fixture, root, runCli, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-daemon-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string): string => path.join(folder, name);

test.concurrent('it returns when ready, can be asked, and stopped', async () => {
  const pidFile = file('app.pid');
  const args = ['--daemon', '--pid-file', pidFile, '--log-file', file('app.log'), '--bind', '127.0.0.1:0'];
  expect(await mpserve([fixture('life.cjs'), ...args])).toEqual({ code: 0, stdout: '', stderr: '' });
  const ctl = (...words: string[]) => runCli(['ctl', ...words, '--pid-file', pidFile]);
  const status = JSON.parse((await ctl('status', '--json')).stdout);
  expect(status).toMatchObject({ state: 'serving', pid: Number(readFileSync(pidFile, 'utf8')) });
  using wire = await connect(status.urls[0]);
  expect((await wire.ask('GET /')).status).toBe(200);

  const again = await runCli([...args]);
  expect(again.code).toBe(3);
  expect(again.stderr).toMatch(
    new RegExp(
      `^mpserve: the pid file .*app.pid \\(from --pid-file\\) belongs to process ${status.pid}, which is alive`,
    ),
  );

  expect(await ctl('stop')).toMatchObject({ code: 0, stdout: 'stopped\n' });
  expect(existsSync(pidFile)).toBe(false);
  expect(readFileSync(file('app.log'), 'utf8')).toContain('"event":"stopped"');
});

test.concurrent.each([
  [
    'an app that is not there',
    ['./gone.js'],
    4,
    /^mpserve: the app '\.\/gone\.js' \(from the command line\) does not exist/,
  ],
  ['an app that throws', [path.join(root, 'test/fixtures/apps/broken/throws.cjs')], 4, /throws\.cjs/],
  ['an address of somebody else', ['--bind', '192.0.2.1:80'], 3, /cannot listen on 192\.0\.2\.1:80/],
])('it returns when it has failed, with its code and line: %s', async (_, args, code, message) => {
  const run = await runCli([...args, '--daemon', '--bind', '127.0.0.1:0', '--log-file', file('failed.log')]);
  expect({ code: run.code, left: run.left }).toEqual({ code, left: [] });
  expect(run.stderr).toMatch(message);
});

test.concurrent('a stale pid file is replaced, and ours is removed at the end', async () => {
  const pidFile = file('stale.pid');
  writeFileSync(pidFile, '4194305\n'); // more than Linux has
  const server = await startServer({ args: ['--pid-file', pidFile] });
  expect(Number(readFileSync(pidFile, 'utf8'))).toBe(server.pid);
  await server.stop();
  expect(existsSync(pidFile)).toBe(false);
});

test.concurrent.each([
  [
    'whose folder is missing',
    '/gone/app.pid',
    /cannot write the pid file \/gone\/app\.pid \(from --pid-file\): its directory does not exist/,
  ],
  ['that is something else', import.meta.filename, /there is a file without the number of a process/],
])('a pid file %s', async (_, pidFile, message) => {
  const { code, stderr } = await runCli(['--bind', '127.0.0.1:0', '--pid-file', pidFile]);
  expect(code).toBe(3);
  expect(stderr).toMatch(message);
});
