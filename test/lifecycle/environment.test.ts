// The variables and the directory of the app: --env-file and --cwd.
import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mpserve } from '../cli/command.ts';
import { ask } from '../helpers/control.ts';
import { eventually } from '../helpers/eventually.ts';
import { testPlacements } from '../helpers/placements.ts';
import { isAlive } from '../helpers/process-tree.ts';
import { startServer } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';
import { connect } from '../helpers/wire.ts';

const code = `const { A, B, C, NODE_ENV } = process.env;
module.exports = (_req, res) => res.end(JSON.stringify({ A, B, C, NODE_ENV, cwd: process.cwd(), file: __filename }));`;

let root: string;
beforeAll(() => {
  root = realpathSync(mkdtempSync(path.join(tmpdir(), 'mpserve-env-')));
});
afterAll(() => rmSync(root, { recursive: true }));

/** A new directory with these files. */
function directory(files: Readonly<Record<string, string>>): string {
  const created = mkdtempSync(path.join(root, 'd-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(created, name), text);
  return created;
}

async function answerOf(url: string): Promise<Record<string, string>> {
  using wire = await connect(url);
  return JSON.parse((await wire.ask('GET /')).body);
}

testPlacements(
  'the app gets the variables of each --env-file, and a variable of the environment overrides them',
  async (placement) => {
    const cwd = directory({
      'app.cjs': code,
      '.env': 'A=first\nB=first\nC="first"\nNODE_ENV=staging\n# a comment\n',
      'more.env': "B='second'\nC=second\n",
    });
    const args = [...(placement.args ?? []), '--env-file', '.env', '--env-file=more.env'];
    await using server = await startServer({ ...placement, app: 'app.cjs', args, cwd, env: { C: 'environment' } });
    expect(await answerOf(server.url)).toMatchObject({
      A: 'first',
      B: 'second',
      C: 'environment',
      NODE_ENV: 'staging',
    });
  },
);

test.concurrent('a reload and an upgrade read the file again, and a switch keeps the variables', async () => {
  const env = directory({ '.env': 'A=1\nB=1\n' });
  const file = path.join(env, '.env');
  const site = await Site.start('prefork', ['--env-file', file, '--pid-file', 'PID']);
  try {
    const { url, pid } = site.server;
    site.write(code);
    writeFileSync(file, 'A=2\n');
    expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
    const reloaded = await answerOf(url);
    expect([reloaded.A, reloaded.B]).toEqual(['2', undefined]);

    writeFileSync(file, 'A=3\n');
    const options = { model: 'prethread' };
    expect(await site.ask('POST', '/switch', JSON.stringify({ options }))).toMatchObject({ status: 200 });
    expect(await answerOf(url)).toMatchObject({ A: '2' });

    rmSync(file);
    const failed = await site.ask('POST', '/reload');
    expect(failed.json).toMatchObject({ ok: false, error: expect.stringContaining(file) });
    expect(await answerOf(url)).toMatchObject({ A: '2' });

    writeFileSync(file, 'A=4\n');
    expect(await site.ask('POST', '/upgrade')).toMatchObject({ status: 200 });
    await eventually('the old server to exit', () => !isAlive(pid));
    expect(await answerOf(url)).toMatchObject({ A: '4' });
    expect(await site.ask('POST', '/stop')).toMatchObject({ status: 200 });
    await site.server.noneLeft();
  } finally {
    await site.remove();
  }
});

test.concurrent('options in the file are read, and no command shows the variables', async () => {
  const cwd = directory({ 'app.cjs': code, '.env': 'PORT=0\nMPSERVE_WORKERS=3\nSECRET=swordfish\n' });
  const control = path.join(cwd, 'ctl');
  const args = ['--env-file', '.env', '--control', control];
  await using server = await startServer({ app: 'app.cjs', bind: [], args, cwd });
  expect(server.ready).toMatchObject({ workers: 3, url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:/) });
  const { stdout } = await mpserve(['config', ...args], { cwd });
  expect(stdout).toMatch(new RegExp(`^workers +3 +in ${path.join(cwd, '.env')}$`, 'm'));
  const { json } = await ask(control, 'GET', '/config');
  expect(stdout + JSON.stringify(json)).not.toContain('swordfish');
});

test.concurrent('a missing file is named', async () => {
  const cwd = directory({ 'mpserve.config.json': '{ "envFile": "of-file.env" }' });
  const message = (file: string, source: string) =>
    `mpserve: cannot read the file ${path.join(cwd, file)} (${source}): it does not exist; create it, or remove the setting\n`;
  const byVariable = await mpserve([], { cwd, env: { MPSERVE_ENV_FILE: 'gone.env' } });
  expect(byVariable).toEqual({ code: 2, stdout: '', stderr: message('gone.env', 'from MPSERVE_ENV_FILE') });
  const byFile = await mpserve([], { cwd });
  expect(byFile).toMatchObject({ code: 2, stderr: message('of-file.env', `in ${cwd}/mpserve.config.json`) });
  // Node looks for the file, too, and ends before mpserve runs.
  const byFlag = await mpserve(['--env-file', 'gone.env'], { cwd });
  expect(byFlag.code).toBeGreaterThan(0);
  expect(byFlag.stderr).toContain('gone.env');
});

test.concurrent.each(['prefork', 'prethread'])(
  '%s: --cwd is where the app runs, its path starts, and the configuration file is looked for',
  async (model) => {
    const cwd = directory({ 'app.cjs': code, 'mpserve.config.json': '{ "workers": 1, "logLevel": "warn" }' });
    const args = ['--cwd', path.basename(cwd), '--log-level', 'info', '--pid-file', 'app.pid'];
    await using server = await startServer({ app: 'app.cjs', model, args, cwd: root });
    expect(await answerOf(server.url)).toMatchObject({ cwd, file: path.join(cwd, 'app.cjs') });
    expect(server.ready).toMatchObject({ workers: 1 });
    expect((await ask(path.join(cwd, 'app.ctl'), 'GET', '/status')).json).toMatchObject({ pid: server.pid });
    const ctl = await mpserve(['ctl', 'status', '--cwd', path.basename(cwd), '--pid-file', 'app.pid'], { cwd: root });
    expect(ctl).toMatchObject({ code: 0, stderr: '' });
  },
);

test.concurrent('a reload follows the link of --cwd, and a worker that is replaced before does not', async () => {
  const place = directory({});
  for (const release of ['first', 'second']) {
    mkdirSync(path.join(place, release));
    writeFileSync(path.join(place, release, 'app.cjs'), code);
  }
  const link = path.join(place, 'current');
  symlinkSync(path.join(place, 'first'), link);
  const control = path.join(place, 'ctl');
  const args = ['--cwd', link, '--control', control, '--workers', '1'];
  await using server = await startServer({ app: 'app.cjs', args, cwd: root });
  symlinkSync(path.join(place, 'second'), path.join(place, 'next'));
  renameSync(path.join(place, 'next'), link);

  const [worker = 0] = server.workers();
  process.kill(worker, 'SIGKILL');
  await eventually('another worker', async () => {
    const { json } = await ask(control, 'GET', '/workers');
    return json.some(({ pid, stage }: { pid: number; stage: string }) => pid !== worker && stage === 'ready');
  });
  const first = path.join(place, 'first');
  expect(await answerOf(server.url)).toMatchObject({ cwd: first, file: path.join(first, 'app.cjs') });
  expect(await ask(control, 'POST', '/reload')).toMatchObject({ status: 200 });
  const second = path.join(place, 'second');
  expect(await answerOf(server.url)).toMatchObject({ cwd: second, file: path.join(second, 'app.cjs') });
});

test.concurrent('a directory that does not exist is named', async () => {
  expect(await mpserve(['--cwd', 'gone'], { cwd: root })).toEqual({
    code: 2,
    stdout: '',
    stderr: `mpserve: --cwd names no directory: '${path.join(root, 'gone')}'\n`,
  });
});
