// --daemon: the command exits when the server is ready or has failed to start.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mpserve } from '../cli/command.ts';
import { fixture, root, runCli } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-daemon-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string): string => path.join(folder, name);

test.concurrent('the command exits when the server is ready, and ctl finds the server by its pid file', async () => {
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
      `^mpserve: the pid file .*app.pid \\(from --pid-file\\) belongs to process ${status.pid}, which is running`,
    ),
  );

  expect(await ctl('stop')).toMatchObject({ code: 0, stdout: 'stopped\n' });
  expect(existsSync(pidFile)).toBe(false);
  expect(readFileSync(file('app.log'), 'utf8')).toContain('"event":"stopped"');
});

test.concurrent.each([
  ['a missing app', ['./gone.js'], 4, /^mpserve: the app '\.\/gone\.js' \(from the command line\) does not exist/],
  ['an app that throws', [path.join(root, 'test/fixtures/apps/broken/throws.cjs')], 4, /throws\.cjs/],
  ['an address of another machine', ['--bind', '192.0.2.1:80'], 3, /cannot listen on 192\.0\.2\.1:80/],
])('the command exits with the error and the exit code of the server: %s', async (_, args, code, message) => {
  const run = await runCli([...args, '--daemon', '--bind', '127.0.0.1:0', '--log-file', file('failed.log')]);
  expect({ code: run.code, left: run.left }).toEqual({ code, left: [] });
  expect(run.stderr).toMatch(message);
});
