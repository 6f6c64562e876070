// `mpserve import` writes a configuration with which the server starts, and names what has no counterpart.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseEnv } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { launchServer, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';
import { mpserve } from './command.ts';

let root: string;
beforeAll(() => {
  root = realpathSync(mkdtempSync(path.join(tmpdir(), 'mpserve-import-')));
});
afterAll(() => rmSync(root, { recursive: true }));

const code = `const { A, B, NODE_ENV } = process.env;
require('node:http').createServer((_req, res) => res.end(JSON.stringify({ A, B, NODE_ENV }))).listen(process.env.PORT);`;

/** A directory with an app and a pm2 file. */
function site(ecosystem: string): string {
  const cwd = mkdtempSync(path.join(root, 'site-'));
  mkdirSync(path.join(cwd, 'src'));
  writeFileSync(path.join(cwd, 'src/server.js'), code);
  writeFileSync(path.join(cwd, 'ecosystem.config.js'), ecosystem);
  return cwd;
}

const one = (attributes: object): string =>
  site(`module.exports = { apps: [${JSON.stringify({ name: 'api', script: 'src/server.js', ...attributes })}] };`);

async function settingsIn(cwd: string, file = 'mpserve.config.mjs'): Promise<unknown> {
  return (await import(pathToFileURL(path.join(cwd, file)).href)).default;
}

test.concurrent('a cluster of pm2 starts, with its variables', async () => {
  const cwd = one({
    instances: 3,
    exec_mode: 'cluster',
    env: { A: 'a "quoted" #value', B: "it's", NODE_ENV: 'staging', PORT: 0 },
    env_production: { B: 'of production', NODE_ENV: 'production' },
    max_memory_restart: '300M',
    kill_timeout: 3000,
    listen_timeout: 8000,
    wait_ready: false,
    shutdown_with_message: true,
    node_args: '--max-old-space-size=200 --trace-warnings',
    source_map_support: true,
    watch: ['src'],
    ignore_watch: ['node_modules'],
    out_file: 'logs/out.log',
    error_file: 'logs/out.log',
    merge_logs: true,
    max_restarts: 10,
    cron_restart: '0 3 * * *',
    made_up: 1,
  });
  const { code, stdout, stderr } = await mpserve(['import', 'ecosystem.config.js'], { cwd });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const notes = [
    'max_restarts 10: mpserve always replaces a worker that exits, after a pause that grows if it keeps exiting',
    `cron_restart '0 3 * * *': put this line into your crontab: 0 3 * * * cd ${cwd} && npx mpserve ctl reload --control mpserve.ctl`,
    'made_up 1: it has no counterpart',
    'env_production: is in mpserve.production.env; add it to envFile, or start with --env-file ./mpserve.production.env',
  ];
  expect(stdout).toBe(`api: wrote mpserve.config.mjs, mpserve.env and mpserve.production.env
  start it: npx mpserve
  it listens on 127.0.0.1:0; set host in the file for clients of other machines
  without a counterpart:
${notes.map((note) => `    ${note}\n`).join('')}`);
  expect(await settingsIn(cwd)).toEqual({
    app: './src/server.js',
    workers: 3,
    maxMemory: '300M',
    gracefulTimeout: '3000ms',
    bootTimeout: '8000ms',
    waitReady: false,
    shutdownMessage: true,
    nodeArg: ['--max-old-space-size=200', '--trace-warnings', '--enable-source-maps'],
    watch: ['./src'],
    logFile: './logs/out.log',
    captureOutput: true,
    control: './mpserve.ctl',
    envFile: ['./mpserve.env'],
  });
  const text = readFileSync(path.join(cwd, 'mpserve.config.mjs'), 'utf8');
  for (const note of notes) expect(text).toContain(`// - ${note}\n`);
  expect(statSync(path.join(cwd, 'mpserve.env')).mode & 0o777).toBe(0o600);

  mkdirSync(path.join(cwd, 'logs'));
  const log = path.join(cwd, 'logs/out.log');
  const server = launchServer({ bind: [], cwd });
  try {
    const ready = await eventually('the ready line', () =>
      existsSync(log)
        ? readFileSync(log, 'utf8')
            .split('\n')
            .find((line) => line.includes('"event":"ready"'))
        : undefined,
    );
    const { url, workers } = JSON.parse(ready);
    expect(workers).toBe(3);
    using wire = await connect(url);
    expect(JSON.parse((await wire.ask('GET /')).body)).toEqual({
      A: 'a "quoted" #value',
      B: "it's",
      NODE_ENV: 'staging',
    });
  } finally {
    await server.stop();
  }
});

test.concurrent('--env uses the variables of an environment', async () => {
  const cwd = one({ env: { A: '1', B: '1', PORT: '0' }, env_production: { B: '2', NODE_ENV: 'production' } });
  const { code, stdout } = await mpserve(['import', 'ecosystem.config.js', '--env', 'production'], { cwd });
  expect(code).toBe(0);
  expect(stdout).not.toContain('without a counterpart');
  await using server = await startServer({ bind: [], cwd });
  using wire = await connect(server.url);
  expect(JSON.parse((await wire.ask('GET /')).body)).toEqual({ A: '1', B: '2', NODE_ENV: 'production' });
  expect(server.ready).toMatchObject({ workers: 1 });
});

test.concurrent('several apps become a file each, or the one of --name becomes mpserve.config.mjs', async () => {
  const cwd = site(`module.exports = { apps: [
    { name: 'web app', script: './server.js', cwd: 'src', instances: 'max', env: { PORT: 0 } },
    { script: 'src/server.js', instances: -1, watch: true },
  ] };`);
  const all = await mpserve(['import', 'ecosystem.config.js'], { cwd });
  expect(all).toMatchObject({ code: 0, stderr: '' });
  expect(all.stdout).toContain('npx mpserve --config mpserve.web-app.config.mjs');
  expect(all.stdout).toContain('it listens on 127.0.0.1:8080, whatever port the app names');
  expect(all.stdout).toContain('instances -1: mpserve starts a worker for each processor; for 1 fewer');
  expect(await settingsIn(cwd, 'mpserve.web-app.config.mjs')).toEqual({
    app: './src/server.js',
    cwd: './src',
    workers: 'auto',
    control: './mpserve.web-app.ctl',
    envFile: ['./mpserve.web-app.env'],
  });
  expect(await settingsIn(cwd, 'mpserve.server.config.mjs')).toEqual({
    app: './src/server.js',
    watch: true,
    control: './mpserve.server.ctl',
  });
  await using server = await startServer({ bind: [], cwd, args: ['--config', 'mpserve.web-app.config.mjs'] });
  using wire = await connect(server.url);
  expect((await wire.ask('GET /')).status).toBe(200);

  expect(await mpserve(['import', 'ecosystem.config.js', '--name', 'web app'], { cwd })).toMatchObject({ code: 0 });
  expect(await settingsIn(cwd)).toMatchObject({ cwd: './src', control: './mpserve.ctl' });
});

test.concurrent('no file is overwritten without --force, and none is written if one exists', async () => {
  const cwd = one({ env: { A: '1' } });
  writeFileSync(path.join(cwd, 'mpserve.env'), 'A=mine\n');
  const refused = await mpserve(['import', 'ecosystem.config.js'], { cwd });
  expect(refused).toEqual({
    code: 2,
    stdout: '',
    stderr: 'mpserve: mpserve.env would be overwritten; add --force, or move what is there\n',
  });
  expect(existsSync(path.join(cwd, 'mpserve.config.mjs'))).toBe(false);
  expect(readFileSync(path.join(cwd, 'mpserve.env'), 'utf8')).toBe('A=mine\n');
  expect(await mpserve(['import', 'ecosystem.config.js', '--force'], { cwd })).toMatchObject({ code: 0 });
  expect(readFileSync(path.join(cwd, 'mpserve.env'), 'utf8')).toBe('A=1\n');

  writeFileSync(path.join(cwd, 'mpserve.config.json'), '{}');
  const second = await mpserve(['import', 'ecosystem.config.js', '--force'], { cwd });
  expect(second).toMatchObject({
    code: 2,
    stderr: 'mpserve: there is already a configuration file here: mpserve.config.json; move it away first\n',
  });
});

test.concurrent('every value of a variable is written so that node reads it, or is named', async () => {
  const values = ['a', ' b ', '#c', "d'", 'e"', '"f"\'', 'g\nh', 'i\\nj', '', '$K', '\tl', ' m\'"`'];
  const env = Object.fromEntries(values.map((value, i) => [`V${i}`, value]));
  const cwd = one({ env: { ...env, OBJECT: { a: 1 } } });
  const { stdout } = await mpserve(['import', 'ecosystem.config.js'], { cwd });
  const written = parseEnv(readFileSync(path.join(cwd, 'mpserve.env'), 'utf8'));
  const { V11, ...others } = env;
  expect(written).toEqual({ ...others, OBJECT: '{"a":1}' });
  expect(V11).toBe(' m\'"`');
  expect(stdout).toContain('the variable V11: an env file cannot hold its value, which has all three quotes');
});

test.concurrent('a variable without a value is not written', async () => {
  const cwd = site(`module.exports = { apps: [{ script: 'src/server.js',
    env: { A: '1', PORT: process.env.NOT_SET }, env_production: { B: undefined } }] };`);
  const { code, stdout } = await mpserve(['import', 'ecosystem.config.js'], { cwd });
  expect(code).toBe(0);
  expect(stdout).toContain('it listens on 127.0.0.1:8080');
  expect(readFileSync(path.join(cwd, 'mpserve.env'), 'utf8')).toBe('A=1\n');
  expect(readFileSync(path.join(cwd, 'mpserve.production.env'), 'utf8')).toBe('');
});

test.concurrent('names in other scripts become files of their names', async () => {
  const cwd = site(`module.exports = { apps: [
    { name: 'сервер', script: 'src/server.js' },
    { name: 'हिन्दी 1', script: 'src/server.js' },
  ] };`);
  expect(await mpserve(['import', 'ecosystem.config.js'], { cwd })).toMatchObject({ code: 0, stderr: '' });
  expect(await settingsIn(cwd, 'mpserve.сервер.config.mjs')).toMatchObject({ control: './mpserve.сервер.ctl' });
  expect(existsSync(path.join(cwd, 'mpserve.हिन्दी-1.config.mjs'))).toBe(true);
});

test.concurrent('two apps that would be written to the same file are refused, and nothing is written', async () => {
  const cwd = site(`module.exports = { apps: [
    { name: 'api@1', script: 'src/server.js', env: { A: '1' } },
    { name: 'api#1', script: 'src/server.js', env: { A: '2' } },
  ] };`);
  expect(await mpserve(['import', 'ecosystem.config.js', '--force'], { cwd })).toEqual({
    code: 2,
    stdout: '',
    stderr:
      "mpserve: the apps 'api@1' and 'api#1' would both be written to mpserve.api-1.config.mjs; rename one of them\n",
  });
  expect(readdirSync(cwd).sort()).toEqual(['ecosystem.config.js', 'src']);
});

test.concurrent('the variables of an environment of one app do not replace those of another app', async () => {
  const cwd = site(`module.exports = { apps: [
    { name: 'api', script: 'src/server.js', env_production: { A: '1' } },
    { name: 'api.production', script: 'src/server.js', env: { A: '2' } },
  ] };`);
  expect(await mpserve(['import', 'ecosystem.config.js'], { cwd })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('would both be written to mpserve.api.production.env'),
  });
});

test.concurrent.each<[string, string, string[], RegExp]>([
  [
    'no file',
    '',
    ['gone.config.js'],
    /cannot read the configuration file .*gone\.config\.js \(from the command line\)/,
  ],
  ['no argument', '', [], /missing file; use mpserve import ecosystem\.config\.js/],
  ['no apps', 'module.exports = {};', ['ecosystem.config.js'], /has no apps: it must have a list `apps`/],
  ['a broken file', 'module.exports = {', ['ecosystem.config.js'], /ecosystem\.config\.js:\d: SyntaxError/],
  [
    'a script that is a command',
    "module.exports = { apps: [{ name: 'web', script: 'npm', args: 'start' }] };",
    ['ecosystem.config.js'],
    /the script of the app 'web' does not exist: .*\/npm; mpserve runs a file, not a command, so name the file that it runs/,
  ],
  [
    'an unknown name',
    "module.exports = { apps: [{ name: 'web', script: 'src/server.js' }] };",
    ['ecosystem.config.js', '--name', 'wep'],
    /--name must be web, not 'wep'; did you mean web\?/,
  ],
  [
    'an unknown environment',
    "module.exports = { apps: [{ script: 'src/server.js', env_production: {} }] };",
    ['ecosystem.config.js', '--env', 'staging'],
    /the app 'server' has no env_staging; use production/,
  ],
  [
    'two apps of one name',
    "module.exports = { apps: [{ script: 'src/server.js' }, { script: 'src/server.js' }] };",
    ['ecosystem.config.js'],
    /has two apps with the name 'server'; rename one of them/,
  ],
])('%s', async (_, ecosystem, args, message) => {
  const cwd = site(ecosystem);
  const { code, stdout, stderr } = await mpserve(['import', ...args], { cwd });
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/^mpserve: [^\n]*\n$/);
  expect(stderr).toMatch(message);
});
