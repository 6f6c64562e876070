// The programming interface: `serve` starts a server, and the object that it resolves to controls and stops it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type * as Api from '../../src/index.ts';
import { eventually } from '../helpers/eventually.ts';
import { isAlive } from '../helpers/process-tree.ts';
import { root, runCli } from '../helpers/server.ts';
import { answering } from '../helpers/site.ts';
import { connect } from '../helpers/wire.ts';

const index = path.join(root, 'dist/index.js');
const { serve, ServerError } = (await import(index)) as typeof Api;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-api-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const started = new Set<Api.Server>();
afterEach(async () => {
  for (const server of started) await server.stop({ now: true });
  started.clear();
});

/** An app of its own, silent, on a free port. */
async function start(config: Api.UserConfig = {}, options?: Api.ServeOptions): Promise<Api.Server> {
  const app = path.join(mkdtempSync(path.join(folder, 'app-')), 'app.cjs');
  writeFileSync(app, answering('first'));
  const server = await serve({ app, port: 0, logLevel: 'silent', ...config }, options);
  started.add(server);
  return server;
}

async function answerOf({ url }: Api.Server): Promise<string> {
  using wire = await connect(url);
  return (await wire.ask('GET /')).body;
}

/** The properties of the error with which `promise` rejects. */
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: Api.ServerError) => ({ isServerError: error instanceof ServerError, ...error, message: error.message }),
  );

describe('a server', () => {
  test('starts, is controlled and stops', async () => {
    const app = path.join(folder, 'controlled.cjs');
    writeFileSync(app, answering('first'));
    const server = await start({
      app,
      workers: 2,
      accessLog: false,
      watch: false,
      captureOutput: true,
      bind: ['127.0.0.1:0', '127.0.0.1:0'],
      port: undefined,
    });
    expect(server.urls).toHaveLength(2);
    expect(server.url).toBe(server.urls[0]);
    expect(await answerOf(server)).toBe('first');
    expect(await server.status()).toMatchObject({
      state: 'serving',
      pid: server.pid,
      urls: server.urls,
      generation: 1,
    });

    writeFileSync(app, answering('second'));
    expect(await server.reload()).toMatch(/^generation 2 is serving/);
    expect(await answerOf(server)).toBe('second');
    expect(await server.scale('+1')).toBe('changed from 2 to 3 workers');
    expect(await server.scale(1)).toBe('changed from 3 to 1 workers');
    expect(await server.switch({ model: 'prethread', threads: 2 })).toMatch(/^prethread is serving/);
    expect(await server.status()).toMatchObject({ model: 'prethread', threads: 2 });
    expect(await server.workers()).toMatchObject([{ stage: 'ready' }]);
    expect(await server.quarantine()).toEqual([]);
    expect(await server.clearQuarantine()).toBe('nothing to clear: no request is suspected of killing workers');
    expect(await server.drain()).toMatch(/^drained/);
    expect(await server.status()).toMatchObject({ state: 'drained' });

    const { code, stdout } = await runCli(['ctl', 'status', '--control', server.control]);
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('drained') });
    expect(existsSync(server.control)).toBe(true);
    await server.stop();
    expect(await server.exited).toBe(0);
    expect([isAlive(server.pid), existsSync(path.dirname(server.control))]).toEqual([false, false]);
    await server.stop(); // does nothing
  });

  test('has the environment and the directory that it is given', async () => {
    const code =
      'const { GIVEN, HOME } = process.env;\n' +
      "module.exports = (_req, res) => res.end([GIVEN, HOME, process.cwd()].join(' '));";
    const cwd = mkdtempSync(path.join(folder, 'cwd-'));
    writeFileSync(path.join(cwd, 'app.cjs'), code);
    const server = await start({ app: 'app.cjs', cwd, pidFile: 'app.pid' }, { env: { GIVEN: 'value' } });
    expect(await answerOf(server)).toBe(`value  ${cwd}`);
    expect(server.control).toBe(path.join(cwd, 'app.ctl'));
  });

  test('takes lists as a configuration file has them', async () => {
    const server = await start({
      workers: 2,
      accept: 'dispatch',
      balance: 'weighted',
      weights: [3, 1],
      trustProxy: ['loopback', '10.0.0.0/8'],
    });
    const { code, stdout } = await runCli(['ctl', 'config', '--control', server.control]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^weights +3 1 +from --weights$/m);
    expect(stdout).toMatch(/^trustProxy +loopback 10\.0\.0\.0\/8 +from --trust-proxy$/m);
  });

  test('has routes as a configuration file has them', async () => {
    const app = path.join(folder, 'pids.cjs');
    writeFileSync(app, 'module.exports = (_req, res) => res.end(String(process.pid));');
    const server = await start({
      app,
      workers: 1,
      routes: [
        { match: '/a', workers: 1 },
        { match: '*', workers: 1 },
      ],
    });
    const answers = await Promise.all(['/a', '/b'].map(async (at) => (await fetch(server.url + at)).text()));
    expect(new Set(answers).size).toBe(2);
  });

  test('serves files and a cache as it is told, and purges', async () => {
    const app = path.join(folder, 'counting.cjs');
    writeFileSync(
      app,
      "let n = 0; module.exports = (_req, res) => res.setHeader('cache-control', 'max-age=60').end(String(++n));",
    );
    const dir = mkdtempSync(path.join(folder, 'files-'));
    writeFileSync(path.join(dir, 'a.txt'), 'a file');
    const server = await start({ app, workers: 1, cache: '8M', static: [{ path: '/files', dir }] });
    expect(await (await fetch(`${server.url}/files/a.txt`)).text()).toBe('a file');
    expect([await answerOf(server), await answerOf(server)]).toEqual(['1', '1']);
    expect(await server.purge({ url: '/' })).toBe('purged the responses for /');
    expect(await answerOf(server)).toBe('2');
    expect(await server.purge()).toBe('purged all responses');
    expect(await answerOf(server)).toBe('3');
    expect(await failure(server.purge({ url: 'news' }))).toMatchObject({ isServerError: true, kind: 'refused' });
  });

  test('finishes requests before it stops, and does not wait for them if it should stop now', async () => {
    const app = path.join(folder, 'slow.cjs');
    writeFileSync(app, "module.exports = (_req, res) => { res.write('begun'); };");
    const server = await start({ app });
    using wire = await connect(server.url);
    await wire.request('GET /');
    await wire.head();
    const graceful = server.stop();
    await eventually('the stop to begin', async () => (await server.status()).state === 'stopping');
    await server.stop({ now: true });
    await graceful;
    expect(await server.exited).not.toBeNull();
  });

  test('that ends by itself is noticed', async () => {
    const server = await start();
    process.kill(server.pid, 'SIGTERM');
    expect(await server.exited).toBe(0);
    expect(await failure(server.status())).toMatchObject({ isServerError: true, kind: 'unreachable' });
    expect(await failure(server.reload())).toMatchObject({ isServerError: true, kind: 'unreachable' });
  });

  test('refuses an upgrade, after which it would not stop with the program', async () => {
    const server = await start({ workers: 1 });
    const { code, stderr } = await runCli(['ctl', 'upgrade', '--control', server.control]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/cannot upgrade a server that a program has started.*; restart the program/),
    });
    expect(await server.status()).toMatchObject({ state: 'serving', pid: server.pid });
  });

  test('rejects actions that it refuses, or that fail, and goes on', async () => {
    const server = await start({ workers: 1 });
    const { app } = await server.status();
    expect(await failure(server.scale(0))).toEqual({
      isServerError: true,
      name: 'ServerError',
      kind: 'refused',
      exitCode: undefined,
      message: '0 workers are out of range; use 1 to 1024 (now 1)',
    });
    for (const settings of [{ model: 'nope' }, { modl: 'ppc' }, { spareMin: 9 }, { port: 1 }] as Api.UserConfig[])
      expect(await failure(server.switch(settings))).toMatchObject({ isServerError: true, kind: 'refused' });
    writeFileSync(app, 'throw new Error("of the app");');
    expect(await failure(server.reload())).toMatchObject({
      kind: 'failed',
      message: expect.stringContaining('of the app'),
    });
    expect(await answerOf(server)).toBe('first');
  });
});

describe('a start that fails rejects, and prints nothing', () => {
  test.each<[string, Api.UserConfig, number | undefined, RegExp]>([
    ['a wrong value', { workers: 0 }, undefined, /^workers must be a whole number from 1 to 1024, or auto$/],
    ['an unknown key', { workrs: 1 } as Api.UserConfig, undefined, /^unknown option 'workrs'; did you mean workers\?$/],
    ['a name of all objects', { ['__proto__']: 1 } as Api.UserConfig, undefined, /^unknown option '__proto__'$/],
    [
      'the path of an app alone',
      './app.js' as Api.UserConfig,
      undefined,
      /^serve\(\) takes an object, such as \{ app: "\.\/app\.js" \}; this is a string$/,
    ],
    ['a daemon', { daemon: true }, undefined, /^serve\(\) starts no daemon; use the command mpserve --daemon$/],
    ['settings that conflict', { port: 1, bind: 2 }, 2, /^--port and --bind both say where to listen/],
    ['an app that does not exist', { app: './gone.js' }, 4, /gone\.js' \(from the command line\) does not exist/],
    ['an app that throws', { app: path.join(root, 'test/fixtures/apps/broken/throws.cjs') }, 4, /throws\.cjs/],
    [
      'an address of another machine',
      { bind: '192.0.2.1:80', port: undefined },
      3,
      /^cannot listen on 192\.0\.2\.1:80/,
    ],
  ])('%s', async (_, config, exitCode, message) => {
    const error = await failure(
      serve(typeof config === 'string' ? config : { port: 0, logLevel: 'silent', ...config }),
    );
    expect(error).toMatchObject({
      isServerError: true,
      kind: 'start',
      exitCode,
      message: expect.stringMatching(message),
    });
  });

  test('on standard error', async () => {
    const program = `import { serve } from ${JSON.stringify(index)};
      await serve({ app: './gone.js' }).catch((error) => console.log(error.exitCode, process.exitCode));`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], { cwd: folder });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk;
      });
    }
    await once(child, 'close');
    expect(output).toBe('4 undefined\n');
  });
});

test('the server stops when the program is ended while it reads its configuration', async () => {
  const cwd = mkdtempSync(path.join(folder, 'gone-'));
  // It goes on when the program has exited.
  writeFileSync(
    path.join(cwd, 'mpserve.config.mjs'),
    `const gone = new Promise((resolve) => process.once('disconnect', resolve));
    console.log(process.pid);
    await gone;
    export default {};`,
  );
  const program = `import { serve } from ${JSON.stringify(index)};
    await serve({ port: 0, logLevel: 'silent' });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { cwd });
  const [line] = await once(createInterface(child.stdout), 'line');
  child.kill('SIGKILL');
  try {
    await once(child, 'exit');
    await eventually('the server to exit', () => !isAlive(Number(line)));
  } finally {
    if (isAlive(Number(line))) process.kill(Number(line), 'SIGKILL');
  }
});

test.each(['SIGKILL', 'SIGINT'] as const)('the server stops when the program is ended by %s', async (signal) => {
  const program = `import { serve } from ${JSON.stringify(index)};
    const { pid } = await serve({ port: 0, logLevel: 'silent' });
    console.log(pid);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { cwd: folder });
  const [line] = await once(createInterface(child.stdout), 'line');
  expect(isAlive(Number(line))).toBe(true);
  child.kill(signal);
  await once(child, 'exit');
  await eventually('the server to exit', () => !isAlive(Number(line)));
});
