// What `process` offers an app in a worker, in processes and in threads: messages as under pm2, and the working directory.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { forPlacements } from '../helpers/placements.ts';
import { type Line, runCli, startServer } from '../helpers/server.ts';
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

/** What an app can see of a channel to its parent. */
const channelOfProcess = `
  const seen = () => JSON.stringify([
    ['send', 'connected', 'channel', 'disconnect', '_channel', '_handleQueue'].map((name) => [name, name in process]),
    typeof process.send, typeof process.connected, typeof process.channel, typeof process.disconnect,
    Object.keys(process.env).filter((name) => /^NODE_(CHANNEL|UNIQUE)/.test(name)),
    ['message', 'disconnect'].map((name) => process.listenerCount(name)),
    [require('node:cluster').isWorker, require('node:cluster').isPrimary, require('node:cluster').worker === undefined],
  ]);
`;

forPlacements((placement) => {
  const start = (file: string, args: readonly string[] = [], cwd?: string) =>
    startServer({ ...placement, app: file, args: [...(placement.args ?? []), ...args], ...(cwd && { cwd }) });
  test('the app sees as little of a channel as in a plain process, while it loads and later', async () => {
    const code = `${channelOfProcess} const first = seen();`;
    const plain = execFileSync(process.execPath, [app(`${code} console.log(JSON.stringify([first, seen()]))`)]);
    const served = app(`${code} module.exports = (_, res) => res.end(JSON.stringify([first, seen()]) + '\\n');`);
    await using server = await start(served);
    expect(await body(server.url)).toBe(String(plain));
  });

  test('a child of the app has a channel to the app, and messages of the app are its own', async () => {
    const parent = app(`
      if (process.argv[2] === 'child') {
        process.send([process.connected, typeof process.channel]);
      } else {
        const heard = [];
        for (const name of ['message', 'internalMessage', 'disconnect']) process.on(name, () => heard.push(name));
        module.exports = (_, res) => {
          const child = require('node:child_process').fork(__filename, ['child']);
          child.once('message', (message) => child.once('exit', () => res.end(JSON.stringify([message, heard]))));
        };
      }
    `);
    await using server = await start(parent);
    expect(JSON.parse(await body(server.url))).toEqual([[true, 'object'], []]);
  });

  test('an app that takes all listeners from its process, and replaces what it can, goes on and ends', async () => {
    const hostile = app(`
      const { ChildProcess } = require('node:child_process');
      for (const name of ['message', 'internalMessage', 'disconnect', 'newListener']) process.removeAllListeners(name);
      for (const name of ['send', 'disconnect', 'channel', 'connected']) process[name] = () => { throw new Error(name); };
      ChildProcess.prototype.spawn = () => { throw new Error('spawn'); };
      process.emit('disconnect');
      process.emit('message', { type: 'drain', ms: 0, othersServe: false });
      process.emit('internalMessage', { cmd: 'NODE_MPSERVE', message: { type: 'drain', ms: 0, othersServe: false } });
      module.exports = (_, res) => res.end('served');
    `);
    const server = await start(hostile);
    expect(await body(server.url)).toBe('served');
    server.child.kill('SIGHUP');
    await server.waitFor('the reload', ({ event }) => event === 'reloaded');
    expect(await body(server.url)).toBe('served');
    await server.stop();
    // One that has just started when the server stops may be killed on a busy machine.
    const failed = server.lines.filter(
      ({ event, reason }) => event === 'worker-died' || /channel/.test(String(reason)),
    );
    expect(failed).toEqual([]);
  });

  test('--wait-ready: the app has what it needs to say so, and nothing else of a channel', async () => {
    const waits = app(`
      if (!process.connected) throw new Error('not connected');
      let sent;
      const result = process.send('ready', (error) => { sent = error; });
      module.exports = (_, res) => res.end(JSON.stringify([result, sent, typeof process.channel, typeof process.disconnect]));
    `);
    await using server = await start(waits, ['--wait-ready']);
    expect(JSON.parse(await body(server.url))).toEqual([true, null, 'undefined', 'function']);
  });

  test('--shutdown-message: there is no process.send for it', async () => {
    const quiet = app('module.exports = (_, res) => res.end(typeof process.send);');
    await using server = await start(quiet, ['--shutdown-message']);
    expect(await body(server.url)).toBe('undefined');
  });

  test('--wait-ready: a worker serves when the app has said that it is ready', async () => {
    const late = app(`
      let said = false;
      require('node:http').createServer((_, res) => res.end(String(said))).listen(3000);
      setTimeout(() => { said = true; process.send('ready'); }, 200);
    `);
    await using server = await start(late, ['--wait-ready']);
    expect(await body(server.url)).toBe('true');
  });

  test('--shutdown-message: the app hears that it should end, and has time to', async () => {
    const file = path.join(folder, `${placement.name}.log`);
    const tidy = app(`
      process.on('message', (message) => {
        if (message === 'shutdown') setTimeout(() => require('node:fs').appendFileSync(${JSON.stringify(file)}, 'tidy'), 50);
      });
      module.exports = (_, res) => res.end();
    `);
    const server = await start(tidy, ['--shutdown-message', '--spares', '1']);
    await body(server.url);
    await server.stop();
    expect(readFileSync(file, 'utf8')).toMatch(/^(tidy)+$/);
  });

  test('an exception that the app handles is no crash, nor is its later end', async () => {
    const handling = app(`
      let respond;
      process.on('uncaughtException', ({ message }) => respond(message));
      process.on('SIGTERM', () => process.exit(143));
      module.exports = (_, res) => {
        respond = (text) => res.end(text);
        setTimeout(() => { throw new Error('handled'); });
      };
    `);
    const server = await start(handling);
    expect(await body(server.url)).toBe('handled');
    await server.stop();
    expect(server.lines.filter(({ event }) => event === 'app-crashed')).toEqual([]);
  });

  test('an exception after which the handler of the app exits is a crash', async () => {
    const exiting = app(`
      process.on('uncaughtException', () => setTimeout(() => process.exit(1), 50));
      module.exports = (_, res) => {
        res.end('answered');
        setTimeout(() => { throw new Error('too much'); });
      };
    `);
    await using server = await start(exiting);
    using wire = await connect(server.url);
    expect((await wire.ask('GET /')).body).toBe('answered');
    const crash = await server.waitFor('the crash', ({ event }) => event === 'app-crashed');
    expect(crash).toMatchObject({ err: { type: 'Error', message: 'too much' } });
  });

  test('an app goes to its own folder, or to where it is', async () => {
    const moving = app(`
      process.chdir(process.cwd());
      process.chdir(__dirname);
      module.exports = (_, res) => res.end([process.cwd(), require('node:fs').realpathSync('.')].join());
    `);
    await using server = await start(moving, [], tmpdir());
    expect(await body(server.url)).toBe([folder, folder].join());
  });
});

test.concurrent('--wait-ready: an app that says nothing starts in no model', async () => {
  const silent = app("require('node:http').createServer((_, res) => res.end()).listen(3000);");
  const args = [silent, '--bind', '127.0.0.1:0', '--wait-ready', '--boot-timeout', '8s'];
  const models = ['ppc', 'prefork', 'tpc', 'prethread', 'hybrid'];
  const runs = models.map(async (model) => ({ model, ...(await runCli([...args, '--model', model])) }));
  for (const { model, code, stderr, left } of await Promise.all(runs)) {
    expect({ model, code, left }).toEqual({ model, code: 4, left: [] });
    expect(stderr, model).toMatch(
      /the app has not called process\.send\('ready'\) \(--wait-ready\), 8000 ms after it had loaded/,
    );
  }
});

test.concurrent('what an app asks of a thread that only a process has is named once at the start', async () => {
  const code = `
    for (const ask of [() => process.setuid(0), () => process.umask(0o77), () => process.umask()]) try { ask(); } catch {}
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => {});
    module.exports = (_, res) => res.end();`;
  const serve = (...args: string[]) => startServer({ app: app(code), args });
  await using threads = await serve('--model', 'prethread', '--threads', '2');
  const limits = ({ event }: Line) => event === 'thread-limits';
  const { uses } = await threads.waitFor('the line', limits);
  expect(uses).toEqual(['process.setuid()', 'process.umask()', 'SIGHUP']);
  await using processes = await serve('--model', 'prefork', '--workers', '1');
  for (const server of [threads, processes]) await server.stop();
  expect([threads, processes].map(({ lines }) => lines.filter(limits).length)).toEqual([1, 0]);
});

test.concurrent('elsewhere a thread cannot go, and the error says which models can', async () => {
  const lost = app("process.chdir('/'); module.exports = (_, res) => res.end();");
  const { code, stderr } = await runCli([lost, '--model', 'prethread', '--bind', '127.0.0.1:0']);
  expect(code).toBe(4);
  expect(stderr).toMatch(/process\.chdir\(\) is not supported in workers.*use a model whose workers are processes/);
});
