// Reload, scale, drain, reopen and stop, with `mpserve ctl` and with signals, while clients send requests.
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { ask } from '../helpers/control.ts';
import { eventually } from '../helpers/eventually.ts';
import { repeating } from '../helpers/placements.ts';
import { runCli, startServer } from '../helpers/server.ts';
import { answering, blockFor, Site } from '../helpers/site.ts';
import { connect } from '../helpers/wire.ts';

let folder: string;
let count = 0;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-reload-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const models = ['prefork', 'ppc', 'tpc', 'prethread', 'hybrid'] as const;

/** A test for each model. @param longOnly models that share the code of another model; tested only in the long run */
function testModels(title: string, longOnly: readonly string[], body: (model: string) => Promise<void>): void {
  for (const model of models) {
    test.concurrent(`${model}: ${title}`, { tags: longOnly.includes(model) ? ['long'] : [] }, () => body(model));
  }
}

testModels('reloads under load lose no request and close no connection', ['hybrid'], async (model) => {
  await using site = await Site.start(model);
  const clients = [new Clients(site.server.url, 2, 'one-each'), new Clients(site.server.url, 2, 'kept-alive')];
  const rounds = model === 'prefork' ? 4 : 2;
  for (let round = 1; round <= rounds; round++) {
    site.write(answering(`release ${round}`));
    const { status, json } = await site.ask('POST', '/reload');
    expect({ status, json }).toMatchObject({ status: 200, json: { ok: true } });
    await eventually('answers of the new release', () => clients.every(({ heard }) => heard.has(`release ${round}`)));
  }
  for (const one of clients) {
    const { failures, reconnects } = await one.stop();
    expect({ failures, reconnects }).toEqual({ failures: [], reconnects: 0 });
  }
  using wire = await connect(site.server.url);
  expect((await wire.ask('GET /')).body).toBe(`release ${rounds}`);
});

testModels('a reload of a broken app changes nothing', ['tpc', 'hybrid'], async (model) => {
  await using site = await Site.start(model);
  const clients = new Clients(site.server.url, 2, 'one-each');
  const builds = [
    ['throw new Error("no database")', /no database/],
    ['for (;;);', /--boot-timeout/],
    ['module.exports = (', /Unexpected (end of input|token)/],
    ['process.exit(3)', /process\.exit/],
    ['module.exports = {}', /exports/],
  ] as const;
  for (const [build, reason] of model === 'prefork' ? builds : builds.slice(0, 2)) {
    site.write(build);
    // Only the build that never ends should reach --boot-timeout.
    site.configure(build.startsWith('for') ? { bootTimeout: '300ms' } : {});
    const { status, json } = await site.ask('POST', '/reload');
    expect({ status, json }).toMatchObject({ status: 500, json: { ok: false, error: expect.stringMatching(reason) } });
    await site.server.waitFor('the log to say so', (line) => {
      return line.event === 'operation-failed' && reason.test(String(line.reason));
    });
  }
  const since = clients.done;
  await eventually('further answers', () => clients.done > since + 10);
  const { failures, bodies } = await clients.stop();
  expect({ failures, bodies: [...bodies] }).toEqual({ failures: [], bodies: ['first'] });
  expect((await site.ask('GET', '/status')).json).toMatchObject({
    state: 'serving',
    generation: 1,
    last: { outcome: { ok: false } },
  });
});

// The first thread that fails must not have the others terminated while they load native code: Node aborts then.
test('prethread: of many broken builds in a row each is reported with its own error', { tags: ['long'] }, async () => {
  await using site = await Site.start('prethread', ['--threads', '4']);
  site.write('throw new Error("no database")');
  for (let build = 0; build < 30; build++) {
    const { status, json } = await site.ask('POST', '/reload');
    expect({ status, json }).toMatchObject({ status: 500, json: { error: expect.stringMatching(/no database/) } });
  }
  expect(site.server.stderr).toBe('');
});

test.concurrent('ctl reload exits 0 when it succeeds, and 1 with the error of the app when it fails', async () => {
  await using site = await Site.start('prefork');
  site.write(answering('second'));
  expect(await site.ctl('reload')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^generation 2 is serving; the reload took \d+ ms\n$/),
    stderr: '',
  });
  site.write('throw new Error("no database")');
  const { code, stdout, stderr } = await site.ctl('reload');
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/no database/);
  using wire = await connect(site.server.url);
  expect((await wire.ask('GET /')).body).toBe('second');
});

test.concurrent('a reload reads the configuration again, and warns about settings that need a restart', async () => {
  await using site = await Site.start('prefork', [], { workers: 1 });
  writeFileSync(site.settings, JSON.stringify({ workers: 3, keepAliveTimeout: '7s', backlog: 99 }));
  expect((await site.ask('POST', '/reload')).status).toBe(200);
  const warning = await site.server.waitFor('a warning', ({ warning }) => /backlog/.test(String(warning)));
  expect(warning.msg).toMatch(/^backlog has changed .*; restart the server to apply it$/);
  const { stdout } = await site.ctl('config', '--json');
  expect(JSON.parse(stdout).config).toMatchObject({ workers: 3, keepAliveTimeout: 7000, backlog: 511 });
  const { json: workers } = await site.ask('GET', '/workers');
  expect(workers.filter(({ stage }: { stage: string }) => stage === 'ready')).toHaveLength(3);
});

const heads = { mjs: 'export default', cjs: 'module.exports =' };
for (const [extension, head] of Object.entries(heads))
  test.concurrent(
    `a reload reads a configuration module (.${extension}) again`,
    repeating(extension, Object.keys(heads)),
    async () => {
      const own = path.join(folder, String(++count));
      const [settings, control] = [`${own}.${extension}`, `${own}.ctl`];
      writeFileSync(settings, `${head} { workers: 1 };`);
      await using server = await startServer({
        args: ['--config', settings, '--control', control, '--probation', '100ms'],
      });
      for (const workers of [2, 3]) {
        writeFileSync(settings, `${head} { workers: ${workers} };`);
        expect((await runCli(['ctl', 'reload', '--control', control])).code).toBe(0);
        const { stdout } = await runCli(['ctl', 'config', '--control', control, '--json']);
        expect(JSON.parse(stdout).config.workers).toBe(workers);
      }
      expect(server.stderr).toBe('');
    },
  );

test.concurrent('ctl reload waits for an app that loads slowly', async () => {
  await using site = await Site.start('prefork', [], { workers: 1 });
  site.write(blockFor(6000) + answering('second'));
  expect(await site.ctl('reload')).toMatchObject({ code: 0, stderr: '' });
});

test.concurrent('a reload with an invalid configuration file changes nothing', async () => {
  await using site = await Site.start('prefork', [], { workers: 1 });
  writeFileSync(site.settings, '{"workers": "many"}');
  const { code, stderr } = await site.ctl('reload');
  expect(code).toBe(1);
  expect(stderr).toMatch(/workers in .* must be a whole number from 1 to 1024, or auto, not 'many'/);
  expect((await site.ask('GET', '/status')).json).toMatchObject({ state: 'serving', generation: 1 });
});

test.concurrent('a reload that a stop ends is not reported as a failure of the release', async () => {
  await using site = await Site.start('prefork', ['--workers', '1'], { probation: '10m' });
  const reload = site.ctl('reload');
  await site.server.waitFor('the reload', ({ event }) => event === 'reloading');
  await site.server.stop();
  expect(await reload).toMatchObject({ code: 1, stderr: 'mpserve: the server is stopping\n' });
  expect(site.server.lines.filter(({ event }) => event === 'operation-failed')).toEqual([]);
  expect(site.server.lines.at(-1)).toMatchObject({ event: 'stopped' });
});

test.concurrent('an action during another action is refused', async () => {
  await using site = await Site.start('prefork', ['--workers', '2']);
  site.write(blockFor(700) + answering('late'));
  const first = site.ctl('reload');
  await site.server.waitFor('the reload to begin', ({ event }) => event === 'reloading');
  expect(await site.ask('POST', '/scale', '{"workers": "+1"}')).toEqual({
    status: 409,
    json: { ok: false, refused: true, error: 'the action reload is in progress; try again when it is done' },
  });
  expect((await first).code).toBe(0);
});

test.concurrent('ctl and signals scale the number of workers', async () => {
  await using site = await Site.start('prefork', ['--workers', '2']);
  const clients = new Clients(site.server.url, 4, 'one-each');
  expect(await site.ctl('scale', '+2')).toMatchObject({ code: 0, stdout: 'changed from 2 to 4 workers\n' });
  expect(site.server.workers()).toHaveLength(4);
  expect(await site.ctl('scale', '-1')).toMatchObject({ code: 0, stdout: 'changed from 4 to 3 workers\n' });
  site.server.child.kill('SIGTTOU');
  await site.server.waitFor('one worker fewer', ({ event, to }) => event === 'scaled' && to === 2);
  site.server.child.kill('SIGTTIN');
  await site.server.waitFor('one worker more', ({ event, from, to }) => event === 'scaled' && from === 2 && to === 3);
  await eventually('the removed workers to exit', () => site.server.workers().length === 3);
  expect(await site.ctl('scale', '1')).toMatchObject({ code: 0, stdout: 'changed from 3 to 1 workers\n' });
  for (const [words, status, reason] of [
    ['-1', 1, /^mpserve: 0 workers are out of range; use 1 to 1024 \(now 1\)$/m],
    ['5000', 1, /5000 workers are out of range/],
    ['many', 2, /'many' is no number of workers; use mpserve ctl scale 4, \+1 or -1/],
  ] as const) {
    const { code, stderr } = await site.ctl('scale', words);
    expect(code).toBe(status);
    expect(stderr).toMatch(reason);
  }
  expect(await site.ask('POST', '/scale', '{"workers": "many"}')).toMatchObject({ status: 409 });
  expect((await clients.stop()).failures).toEqual([]);
});

test.concurrent.each(['ppc', 'tpc', 'prethread'])(
  'scale is refused in %s, which has a fixed number of workers',
  async (model) => {
    await using site = await Site.start(model);
    const { code, stderr } = await site.ctl('scale', '2');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `mpserve: the number of workers is fixed in the model ${model}\n`,
    });
  },
);

testModels('SIGWINCH drains and stays up, SIGHUP brings the workers back', ['tpc', 'hybrid'], async (model) => {
  await using site = await Site.start(model);
  site.server.child.kill('SIGWINCH');
  await site.server.waitFor('the drain', ({ event }) => event === 'drained');
  await eventually('all workers to exit', () => site.server.workers().length === 0);
  expect((await site.ask('GET', '/status')).json).toMatchObject({ state: 'drained' });
  using wire = await connect(site.server.url); // the kernel queues the connection
  const answer = wire.ask('GET /');
  site.server.child.kill('SIGHUP');
  expect((await answer).body).toBe('first'); // from the first new worker
  await site.server.waitFor('the reload', ({ event }) => event === 'reloaded');
  expect((await site.ask('GET', '/status')).json).toMatchObject({ state: 'serving', generation: 2 });
});

const singleWorker = [
  ['prefork', '--workers'],
  ['prethread', '--threads'],
] as const;
test.concurrent.each(singleWorker)(
  '%s: the warm-up request of a new worker reaches neither the app nor the access log',
  async (model, count) => {
    const log = path.join(folder, `warm-up-${model}`);
    await using site = await Site.start(model, [count, '1', '--access-log', log]);
    site.write('let seen = 0; module.exports = (req, res) => res.end("request " + ++seen);');
    expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
    using wire = await connect(site.server.url);
    expect((await wire.ask('GET /only')).body).toBe('request 1');
    await site.server.stop();
    const lines = readFileSync(log, 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).url)).toEqual(['/only']);
  },
);

const blocking = `module.exports = (req, res) => {
  if (req.url !== '/block') return res.end();
  const { appendFileSync } = require('node:fs');
  appendFileSync(process.env.NOTES, 'blocked ');
  ${blockFor(2000)}
  appendFileSync(process.env.NOTES, 'free ');
  res.end();
};`;
const changes = singleWorker.flatMap((one) => [[...one, 'a reload'] as const, [...one, 'SIGWINCH'] as const]);
test.concurrent.each(changes)(
  '%s, %s 1: after %s returns, the old worker accepts no connection',
  async (model, count, how) => {
    const notes = path.join(folder, `notes-${model}-${how}`);
    const noted = (): string => (existsSync(notes) ? readFileSync(notes, 'utf8') : '');
    await using site = await Site.start(model, [count, '1'], {}, { NOTES: notes });
    site.write(blocking);
    await site.ask('POST', '/reload');
    using wire = await connect(site.server.url);
    const answer = wire.ask('GET /block');
    await eventually('the worker to be blocked', () => noted() === 'blocked ');
    // A blocked worker has not read the message to drain, and would accept connections when it is free again.
    if (how === 'a reload') await site.ask('POST', '/reload');
    else {
      site.server.child.kill('SIGWINCH');
      await site.server.waitFor('the drain', ({ event }) => event === 'drained');
    }
    expect(noted()).toBe('blocked free ');
    expect((await answer).status).toBe(200);
  },
);

testModels('reopening the access log under load loses no line', ['ppc', 'hybrid'], async (model) => {
  const own = path.join(folder, `reopen-${model}`);
  const [access, log] = [`${own}.access`, `${own}.log`];
  await using site = await Site.start(model, ['--access-log', access]);
  const clients = new Clients(site.server.url, 4, 'kept-alive');
  const linesOf = (file: string) =>
    existsSync(file)
      ? readFileSync(file, 'utf8')
          .split('\n')
          .filter((line) => line !== '')
      : [];
  await eventually('lines', () => linesOf(access).length > 0);
  renameSync(access, `${access}.old`);
  if (model === 'prefork') expect((await site.ctl('reopen')).code).toBe(0);
  else site.server.child.kill('SIGUSR1');
  await site.server.waitFor('the new file', ({ event }) => event === 'logs-reopened');
  await eventually('lines in the new file', () => linesOf(access).length > 0);
  const { answered, failures } = await clients.stop();
  expect(failures).toEqual([]);
  await site.server.stop();
  const [old, fresh] = [linesOf(`${access}.old`), linesOf(access)];
  const ids = [...old, ...fresh].map((line) => JSON.parse(line).reqId);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.length).toBe(answered);
  expect(existsSync(log)).toBe(false);
});

test.concurrent('ctl stop waits for requests in flight, and --now does not', async () => {
  const slow = 'module.exports = (req, res) => setTimeout(() => res.end("slow"), req.url === "/" ? 500 : 60_000);';
  for (const words of [[], ['--now']]) {
    const site = await Site.start('prefork');
    site.write(slow);
    expect((await site.ask('POST', '/reload')).status).toBe(200);
    using wire = await connect(site.server.url);
    const answer = wire.ask(words.length === 0 ? 'GET /' : 'GET /long').catch((error: Error) => error.message);
    await eventually('the request to arrive', async () => (await site.ask('GET', '/status')).json.requests >= 0);
    const { code, stdout } = await site.ctl('stop', ...words);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'stopped\n' });
    expect(() => process.kill(site.server.pid, 0)).toThrow('ESRCH');
    if (words.length === 0) expect(await answer).toMatchObject({ status: 200, body: 'slow' });
    else expect(await answer).toMatch(/the connection ended/);
    expect(existsSync(site.control)).toBe(false);
    expect((await site.server.exit).code).toBe(0);
  }
});

test.concurrent('the control socket speaks HTTP with JSON, and only its owner may use it', async () => {
  await using site = await Site.start('hybrid', ['--workers', '2', '--threads', '2']);
  const ask = site.ask.bind(site);
  expect(statSync(site.control).mode & 0o777).toBe(0o600);
  expect(await ask('GET', '/status')).toMatchObject({
    status: 200,
    json: { state: 'serving', model: 'hybrid', threads: 2 },
  });
  expect(await ask('POST', '/scale', '{"workers": "+1"}')).toMatchObject({ status: 200, json: { ok: true } });
  expect(await ask('POST', '/scale', '{"workers": 0}')).toMatchObject({
    status: 409,
    json: { ok: false, refused: true },
  });
  expect(await ask('POST', '/scale', 'x')).toMatchObject({
    status: 400,
    json: { error: expect.stringMatching(/^the body is not valid JSON/) },
  });
  expect(await ask('POST', '/scale', 'x'.repeat(5000))).toMatchObject({ status: 400 });
  expect(await ask('GET', '/reload')).toMatchObject({ status: 405, json: { error: '/reload requires POST' } });
  expect(await ask('GET', '/constructor')).toMatchObject({ status: 404 });
  expect(await ask('GET', '/workers')).toMatchObject({
    status: 200,
    json: [{ worker: 1, generation: 1, stage: 'ready', memoryBytes: expect.any(Number) }, {}, {}],
  });
});

describe.concurrent('an invalid ctl command', () => {
  const missing = '/tmp/mpserve-no-such.ctl';
  test.each<[string, readonly string[], number, RegExp]>([
    [
      'no server',
      ['status', '--control', missing],
      3,
      /^mpserve: cannot reach a server at \/tmp\/.* \(from --control\): no such socket; is the server running/,
    ],
    [
      'no control socket configured',
      ['status'],
      2,
      /^mpserve: no control socket configured; start the server with --control/,
    ],
    ['no command', [], 2, /^mpserve: missing command; use mpserve ctl status, workers,/],
    [
      'an unknown command',
      ['reolad', '--control', missing],
      2,
      /unknown command 'mpserve ctl reolad'.*; did you mean reload\?$/,
    ],
    ['scale without a number', ['scale', '--control', missing], 2, /missing number of workers/],
    ['an extra argument', ['reload', 'now', '--control', missing], 2, /takes no argument, but got 'now'$/],
    [
      '--now with another command',
      ['reload', '--now', '--control', missing],
      2,
      /--now only works with mpserve ctl stop/,
    ],
    [
      'a file that is not a socket',
      ['status', '--control', import.meta.filename],
      3,
      /connection refused|not a socket/,
    ],
  ])('%s', async (_, args, code, message) => {
    const run = await runCli(['ctl', ...args]);
    expect({ code: run.code, stdout: run.stdout }).toEqual({ code, stdout: '' });
    expect(run.stderr.trimEnd()).toMatch(message);
    expect(run.stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  test('a server does not replace the socket of a running server', async () => {
    await using site = await Site.start('prefork');
    const { code, stderr } = await runCli(['--bind', '127.0.0.1:0', '--control', site.control]);
    expect(code).toBe(3);
    expect(stderr).toMatch(/another server is listening on this socket/);
    expect((await site.ctl('status')).code).toBe(0);
  });
});

describe.concurrent('ctl reads from the configuration only where the server is', () => {
  const inPlaceWith = (name: string, content: string): string => {
    const cwd = mkdtempSync(path.join(tmpdir(), 'mpserve-ctl-'));
    writeFileSync(path.join(cwd, name), content);
    return cwd;
  };

  test('with --control, it reads no configuration file', async () => {
    await using site = await Site.start('prefork', ['--workers', '1']);
    const cwd = inPlaceWith('mpserve.config.mjs', 'export default {');
    const run = await runCli(['ctl', 'status', '--control', site.control], { cwd, env: { MPSERVE_WORKERS: 'no' } });
    expect(run).toMatchObject({ code: 0, stderr: '' });
    const without = await runCli(['ctl', 'status'], { cwd });
    expect(without).toMatchObject({ code: 2, stderr: expect.stringContaining('mpserve.config.mjs') });
    rmSync(cwd, { recursive: true });
  });

  test.each(['control', 'pidFile'])('%s in a file counts, whatever else is in it', async (key) => {
    await using site = await Site.start('prefork', ['--workers', '1', '--pid-file', 'PID']);
    const { control, pidFile } = site;
    const place = key === 'control' ? { control } : { pidFile };
    if (key === 'pidFile') renameSync(control, `${pidFile}.ctl`);
    const broken = { ...place, app: './gone.js', workers: 0, workrs: 1, balance: 'ip-hash' };
    const cwd = inPlaceWith('mpserve.config.json', JSON.stringify(broken));
    expect(await runCli(['ctl', 'stop'], { cwd })).toMatchObject({ code: 0, stdout: 'stopped\n', stderr: '' });
    rmSync(cwd, { recursive: true });
  });

  test('the server checks a switch, by its own settings', async () => {
    await using site = await Site.start('prefork', ['--workers', '1', '--spare-max', '5']);
    expect(await site.ctl('switch', '--spare-min', '3')).toMatchObject({ code: 0, stderr: '' });
    expect(await site.ctl('switch', '--spare-min', '6')).toMatchObject({
      code: 1,
      stderr: 'mpserve: --spare-max (5) must be at least --spare-min of mpserve ctl switch (6)\n',
    });
    expect(await site.ctl('switch', '--model', 'hybird')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/--model of mpserve ctl switch must be .*; did you mean hybrid\?$/m),
    });
  });
});

test('ppc: a reload for which there are too few descriptors changes nothing, and leaves none open', async () => {
  const sockets = mkdtempSync(path.join(tmpdir(), 'mpserve-few-'));
  const control = path.join(sockets, 'ctl');
  await using server = await startServer({
    node: '/bin/sh',
    script: 'test/fixtures/few-descriptors.sh',
    model: 'ppc',
    bind: Array.from({ length: 60 }, (_, i) => `unix:${sockets}/${i}`),
    args: ['--control', control],
    env: { PATH: `${path.dirname(process.execPath)}:${process.env.PATH}` },
  });
  const descriptors = () => readdirSync(`/proc/${server.pid}/fd`).length;
  const before = descriptors();
  expect(await ask(control, 'POST', '/reload')).toMatchObject({
    status: 500,
    json: { error: expect.stringContaining('EMFILE') },
  });
  await eventually('what was opened to be closed', () => descriptors() <= before);
  await eventually('the new generation to end', async () => {
    const { json } = await ask(control, 'GET', '/workers');
    return json.every(({ generation }: { generation: number }) => generation === 1);
  });
  rmSync(sockets, { recursive: true });
});
