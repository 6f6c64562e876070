// --daemon: the command exits when the server is ready or has failed to start.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mpserve } from '../cli/command.ts';
import { eventually } from '../helpers/eventually.ts';
import { isAlive } from '../helpers/process-tree.ts';
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
  const started = await mpserve([fixture('life.cjs'), ...args]);
  expect(started).toMatchObject({ code: 0, stderr: '' });
  const ctl = (...words: string[]) => runCli(['ctl', ...words, '--pid-file', pidFile]);
  const status = JSON.parse((await ctl('status', '--json')).stdout);
  expect(status).toMatchObject({ state: 'serving', pid: Number(readFileSync(pidFile, 'utf8')) });
  expect(started.stdout).toBe(
    `pid      ${status.pid}\nurl      ${status.urls[0]}\ncontrol  ${file('app.ctl')}\nlog      ${file('app.log')}\n`,
  );
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

test.concurrent.each([
  ['mpserve.log', 'none; mpserve ctl needs --control or --pid-file', []],
  ['run/site.log', 'run/site.ctl', ['--pid-file', 'run/site.pid']],
])('without --log-file it logs to %s, and says so', async (log, control, args) => {
  const cwd = realpathSync(mkdtempSync(file('cwd-')));
  mkdirSync(path.join(cwd, 'run'));
  const { code, stdout, stderr } = await mpserve(['--daemon', '--bind', '127.0.0.1:0', ...args], { cwd });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const shown = Object.fromEntries(stdout.split('\n').map((line) => [line.slice(0, 9).trim(), line.slice(9)]));
  const pid = Number(shown.pid);
  try {
    expect(shown.log).toBe(path.join(cwd, log));
    expect(shown.control).toBe(args.length > 0 ? path.join(cwd, control) : control);
    await eventually('the ready line', () =>
      readFileSync(path.join(cwd, log), 'utf8').includes(`"url":"${shown.url}"`),
    );
  } finally {
    process.kill(pid, 'SIGTERM');
    await eventually('the daemon to exit', () => !isAlive(pid));
  }
});

test('access lines on standard output are refused, because a daemon has none', async () => {
  expect(await mpserve(['--daemon', '--access-log', '-'], { cwd: folder })).toEqual({
    code: 2,
    stdout: '',
    stderr: "mpserve: --access-log must name a file with --daemon, not '-', standard output\n",
  });
});
