// `mpserve ctl stacks`: where each event loop is, without harm to any.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { WorkerStacks } from '../../src/control/protocol.ts';
import { eventually } from '../helpers/eventually.ts';
import { listeningPorts } from '../helpers/listening.ts';
import { fixture, runCli, type Server, type ServerOptions, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-stacks-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let servers = 0;
async function start({ args = [], ...options }: ServerOptions): Promise<readonly [Server, string]> {
  const control = path.join(folder, `${++servers}.ctl`);
  const server = await startServer({
    app: fixture('diagnosed.cjs'),
    ...options,
    args: [...args, '--control', control],
  });
  return [server, control];
}

/** What a request of the app waits for: it goes on when the file is released. */
class Held implements Disposable {
  static #count = 0;
  readonly file = path.join(folder, `held-${++Held.#count}`);
  constructor() {
    writeFileSync(this.file, '');
  }
  release(): void {
    rmSync(this.file, { force: true });
  }
  [Symbol.dispose](): void {
    this.release();
  }
}

async function stacks(control: string): Promise<readonly WorkerStacks[]> {
  const { code, stdout, stderr } = await runCli(['ctl', 'stacks', '--json', '--control', control]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}

const loops = async (control: string) => (await stacks(control)).flatMap((worker) => worker.loops);

/** No worker has been harmed, and none goes on listening anywhere besides its server. */
async function expectUnharmed(server: Server): Promise<void> {
  const events = ['hung', 'worker-died', 'thread-lost', 'worker-killed', 'worker-message-invalid'];
  expect(server.lines.filter(({ event }) => events.includes(String(event)))).toEqual([]);
  const served = Number(new URL(server.url).port);
  await eventually('no inspector', () =>
    server.tree().every((pid) => listeningPorts(pid).every((one) => one === served)),
  );
}

const models = [
  ['prefork', ['--workers', '2']],
  ['prethread', ['--threads', '2']],
  ['tpc', []],
  ['ppc', []],
  ['hybrid', ['--workers', '2', '--threads', '2']],
] as const;

for (const [model, size] of models) {
  for (const hangTimeout of ['20s', '0']) {
    const isShort = (model === 'prefork' && hangTimeout === '20s') || (model === 'prethread' && hangTimeout === '0');
    const title = `${model}: a blocked event loop with its stack and request, and the others, with --hang-timeout`;
    test.concurrent(`${title} ${hangTimeout}`, { tags: isShort ? [] : ['long'] }, async () => {
      const [server, control] = await start({ model, args: [...size, '--hang-timeout', hangTimeout] });
      await using _ = server;
      using waiting = await connect(server.url);
      await waiting.request('GET /wait', { 'x-request-id': 'the-waiting' });
      await server.waitFor('the waiting request', ({ seen }) => seen === 'wait');
      using busy = await connect(server.url);
      using held = new Held();
      const answer = busy.ask(`GET /burn?${held.file}`, { 'x-request-id': 'the-busy' });
      const { pid, tid } = await server.waitFor('the busy request', ({ seen }) => seen === 'burn');
      const found = await stacks(control);
      const blocked = found.flatMap((worker) =>
        worker.loops.filter(({ state }) => state === 'blocked').map((loop) => ({ ...loop, pid: worker.pid })),
      );
      expect(blocked).toMatchObject([{ pid, tid }]);
      const [loop] = blocked;
      expect(loop?.stack.join('\n')).toMatch(/^burnProcessor \(\/.*diagnosed\.cjs:\d+:\d+\)$/m);
      expect(loop?.oldest).toContainEqual(expect.objectContaining({ reqId: 'the-busy', url: `/burn?${held.file}` }));
      const all = found.flatMap((worker) => worker.loops);
      const ids = all.flatMap(({ oldest }) => oldest.map(({ reqId }) => reqId));
      expect(ids.sort()).toEqual(['the-busy', 'the-waiting']);
      for (const { state, stack } of all) if (state === 'idle') expect(stack).toEqual([]);
      // The code goes on.
      held.release();
      expect((await answer).status).toBe(200);
      await expectUnharmed(server);
    });
  }
}

test.concurrent('as text, without control characters of the app', async () => {
  const [server, control] = await start({ args: ['--workers', '1'] });
  await using _ = server;
  const [pid] = server.workers();
  using waiting = await connect(server.url);
  await waiting.request('GET /wait', { 'x-request-id': 'the-waiting' });
  await server.waitFor('the waiting request', ({ seen }) => seen === 'wait');
  const idle = await runCli(['ctl', 'stacks', '--control', control]);
  expect(idle.stdout).toMatch(
    new RegExp(
      `^worker 1 \\(pid ${pid}\\): idle\n {2}in flight: GET /wait, for \\d+\\.\\d s, request id the-waiting\n$`,
    ),
  );
  using busy = await connect(server.url);
  using held = new Held();
  const answer = busy.ask(`GET /red?${held.file}`);
  await server.waitFor('the busy request', ({ seen }) => seen === 'red');
  const { stdout } = await runCli(['ctl', 'stacks', '--control', control]);
  expect(stdout).toMatch(/^ {4}at .*\\u001b\[31mred\\n \(\/.*diagnosed\.cjs:\d+:\d+\)$/m);
  expect(stdout).not.toContain('\x1b');
  held.release();
  expect((await answer).status).toBe(200);
});

for (const [model, size] of [
  ['prefork', '--workers'],
  ['prethread', '--threads'],
] as const) {
  for (const code of ['sleep', 'derive'] as const) {
    const title = `${model}: native code (${code}) is told after a second with its request, and goes on`;
    test.concurrent(title, { tags: code === 'derive' ? ['long'] : [] }, async () => {
      const [server, control] = await start({ model, args: [size, '2', '--hang-timeout', '0'] });
      await using _ = server;
      using wire = await connect(server.url);
      using held = new Held();
      const target = { sleep: `/sleep?${held.file}`, derive: '/derive?8000000' }[code];
      const answer = wire.ask(`GET ${target}`, { 'x-request-id': 'the-native' });
      await server.waitFor('the request', ({ seen }) => seen !== undefined);
      const found = await loops(control);
      expect(found.map(({ state, unreadable }) => unreadable ?? state).sort()).toEqual(['idle', 'native']);
      expect(found.find(({ unreadable }) => unreadable)).toMatchObject({
        inFlight: 1,
        oldest: [{ reqId: 'the-native', method: 'GET', url: target }],
      });
      held.release();
      expect((await answer).status).toBe(200);
      // Over another connection: Node closes one whose request has blocked the event loop for longer than it is kept alive.
      using next = await connect(server.url);
      for (let more = 0; more < 5; more++) expect((await next.ask('GET /')).status).toBe(200);
      // What has come too late has no effect any more.
      expect((await loops(control)).map(({ state }) => state)).toEqual(['idle', 'idle']);
      await expectUnharmed(server);
    });
  }
}

test.concurrent('two threads that are blocked at the same time', { tags: 'long' }, async () => {
  const [server, control] = await start({ model: 'tpc' });
  await using _ = server;
  using one = await connect(server.url);
  using other = await connect(server.url);
  using held = new Held();
  const answers = [one, other].map((wire) => wire.ask(`GET /burn?${held.file}`));
  await eventually('both', () => server.lines.filter(({ seen }) => seen === 'burn').length === 2);
  // On a busy machine, a thread that does not get to run within a second is taken to be in native code.
  await eventually('both stacks', async () => {
    const blocked = (await loops(control)).filter(({ state }) => state === 'blocked');
    expect(blocked).toHaveLength(2);
    return blocked.every(({ stack }) => /^burnProcessor /m.test(stack.join('\n')));
  });
  held.release();
  for (const answer of answers) expect((await answer).status).toBe(200);
  await expectUnharmed(server);
});

test.concurrent('a worker that SIGSTOP has stopped', async () => {
  const [server, control] = await start({ args: ['--workers', '2'] });
  await using _ = server;
  using wire = await connect(server.url);
  await wire.request('GET /wait', { 'x-request-id': 'the-waiting' });
  const { pid } = await server.waitFor('the request', ({ seen }) => seen === 'wait');
  const stopped = Number(pid);
  process.kill(stopped, 'SIGSTOP');
  try {
    const found = await stacks(control);
    expect(found.find((worker) => worker.pid === stopped)?.loops).toMatchObject([
      { oldest: [{ reqId: 'the-waiting' }] },
    ]);
    const states = found.map(({ pid, loops: [loop] }) => [pid === stopped, loop?.unreadable ?? loop?.state]);
    expect(new Map(states as [boolean, string][])).toEqual(
      new Map([
        [true, 'stopped'],
        [false, 'idle'],
      ] as const),
    );
  } finally {
    process.kill(stopped, 'SIGCONT');
  }
  expect((await loops(control)).map(({ state }) => state)).toEqual(['idle', 'idle']);
  await expectUnharmed(server);
});

test.concurrent('an app that handles SIGUSR1 itself gets none', async () => {
  const [server, control] = await start({ args: ['--workers', '1'], env: { HANDLE_SIGUSR1: '1' } });
  await using _ = server;
  using wire = await connect(server.url);
  using held = new Held();
  const answer = wire.ask(`GET /burn?${held.file}`);
  await server.waitFor('the request', ({ seen }) => seen === 'burn');
  expect(await loops(control)).toMatchObject([{ unreadable: 'signal', stack: [], inFlight: 1 }]);
  held.release();
  expect(JSON.parse((await answer).body)).toMatchObject({ signals: 0 });
  using next = await connect(server.url);
  expect(JSON.parse((await next.ask('GET /')).body)).toMatchObject({ signals: 0 });
});

test.concurrent('an operator can still start the inspector of a worker after it', async () => {
  const [server, control] = await start({ args: ['--workers', '1'] });
  await using _ = server;
  const [worker = 0] = server.workers();
  using wire = await connect(server.url);
  using held = new Held();
  const answer = wire.ask(`GET /burn?${held.file}`);
  await server.waitFor('the request', ({ seen }) => seen === 'burn');
  expect(await loops(control)).toMatchObject([{ state: 'blocked' }]);
  held.release();
  expect((await answer).status).toBe(200);
  await expectUnharmed(server);
  const served = Number(new URL(server.url).port);
  // For a moment a signal may be taken for the one of the supervisor.
  await eventually('its inspector', async () => {
    process.kill(worker, 'SIGUSR1');
    using other = await connect(server.url);
    for (let turns = 0; turns < 3; turns++) await other.ask('GET /');
    return listeningPorts(worker).some((port) => port !== served);
  });
  using again = await connect(server.url);
  using heldAgain = new Held();
  const next = again.ask(`GET /burn?${heldAgain.file}`);
  await eventually('the request', () => server.lines.filter(({ seen }) => seen === 'burn').length === 2);
  expect(await loops(control)).toMatchObject([{ unreadable: 'debugged', inFlight: 1 }]);
  heldAgain.release();
  expect((await next).status).toBe(200);
});

test.concurrent('a worker that hangs for too long is still ended', { tags: 'long' }, async () => {
  const [server, control] = await start({ args: ['--workers', '1', '--hang-timeout', '8s'] });
  await using _ = server;
  using wire = await connect(server.url);
  await wire.request('GET /burn?60000');
  await server.waitFor('the request', ({ seen }) => seen === 'burn');
  expect(await loops(control)).toMatchObject([{ state: 'blocked' }]);
  const { stack } = await server.waitFor('the hang to be found', ({ event }) => event === 'hung');
  expect((stack as string[]).join('\n')).toMatch(/^burnProcessor /m);
  await server.waitFor('its end', ({ event }) => event === 'worker-died');
});
