// `mpserve ctl profile` and `mpserve ctl heap`: what they write, whom they stop for, and what they leave behind.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { ask } from '../helpers/control.ts';
import { eventually, within } from '../helpers/eventually.ts';
import { fixture, root, runCli, type Server, type ServerOptions, startServer } from '../helpers/server.ts';
import { connect, type Wire } from '../helpers/wire.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-dumps-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Of a profile. */
interface Node {
  readonly id: number;
  readonly callFrame: { readonly functionName: string };
}

interface Site {
  readonly server: Server;
  readonly control: string;
  /** Empty, for the files of the commands. */
  readonly cwd: string;
}

let sites = 0;
async function start({ args = [], ...options }: ServerOptions): Promise<Site> {
  const cwd = path.join(folder, String(++sites));
  mkdirSync(cwd);
  const control = `${cwd}.ctl`;
  const app = fixture('diagnosed.cjs');
  const server = await startServer({ app, ...options, args: [...args, '--control', control] });
  return { server, control, cwd };
}

const ctl = ({ control, cwd }: Site, ...args: readonly string[]) =>
  runCli(['ctl', ...args, '--control', control], { cwd });

interface Running {
  readonly child: ChildProcess;
  readonly text: () => string;
  /** Its exit code. */
  readonly exit: Promise<number | null>;
}

/** Runs until the test ends it. */
async function begin(site: Site, ...args: readonly string[]): Promise<Running> {
  const child = spawn(
    process.execPath,
    [path.join(root, 'bin/mpserve.js'), 'ctl', ...args, '--control', site.control],
    { cwd: site.cwd, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const exit = once(child, 'close').then(([code]) => code);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const { lines } = site.server;
  const before = lines.filter(({ event }) => event === 'dump-started').length;
  await eventually('its beginning', () => lines.filter(({ event }) => event === 'dump-started').length > before);
  return { child, exit, text: () => stderr };
}

const ended = ({ exit }: Running): Promise<number | null> => within('the command to end', exit);

/**
 * In some models the worker lives for this connection, which the server closes when it has been idle for some seconds.
 * @returns the number of the worker
 */
async function keepOpen({ server, control }: Site, wire: Wire): Promise<string> {
  await wire.request('GET /wait');
  const { pid } = await server.waitFor('the request that is not answered', ({ seen }) => seen === 'wait');
  const workers: { readonly worker: number; readonly pid: number }[] = (await ask(control, 'GET', '/workers')).json;
  return String(workers.find((one) => one.pid === pid)?.worker);
}

/** Another one can begin. */
async function expectFree(site: Site): Promise<void> {
  await eventually('the next profile', async () => {
    using wire = await connect(site.server.url);
    const isServed = await wire.ask('GET /').catch(() => undefined); // in some models the worker is for this connection
    return isServed && (await ask(site.control, 'POST', '/profile', '{"seconds": 1}')).status === 200;
  });
}

const models = [
  ['prefork', ['--workers', '1']],
  ['prethread', ['--threads', '1']],
  ['tpc', []],
  ['ppc', []],
  ['hybrid', ['--workers', '1', '--threads', '1']],
] as const;

for (const [model, size] of models) {
  describe.concurrent(model, { tags: ['prefork', 'prethread'].includes(model) ? [] : ['long'] }, () => {
    // What a thread writes goes the same way, whatever it is.
    const tags = model === 'prefork' ? [] : ['long'];
    test('a profile names the function that uses the processor', async () => {
      const site = await start({ model, args: size });
      const { server, cwd } = site;
      await using _ = server;
      using wire = await connect(server.url);
      await wire.ask('GET /burn-on');
      const worker = await keepOpen(site, wire);
      const { code, stdout, stderr } = await ctl(
        site,
        'profile',
        ...(model === 'ppc' ? [worker] : []),
        '--seconds',
        '2',
      );
      expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
      const [file = ''] = readdirSync(cwd);
      expect(file).toMatch(new RegExp(`^mpserve-${worker}-\\d{8}T\\d{6}Z\\.cpuprofile$`));
      expect(stderr).toBe(`profiling worker ${worker} for 2 s\nwrote ${file}\n`);
      expect(statSync(path.join(cwd, file)).mode & 0o777).toBe(0o600);
      const { nodes, samples, startTime, endTime } = JSON.parse(readFileSync(path.join(cwd, file), 'utf8'));
      expect(endTime - startTime).toBeGreaterThan(1.9e6);
      const ids: number[] = nodes
        .filter(({ callFrame }: Node) => callFrame.functionName === 'burnNewly')
        .map(({ id }: Node) => id);
      const hits = samples.filter((id: number) => ids.includes(id)).length;
      expect(hits / samples.length).toBeGreaterThan(0.2);
    });

    test('a heap snapshot names the classes of the app', { tags }, async () => {
      const site = await start({ model, args: size });
      await using _ = site.server;
      using wire = await connect(site.server.url);
      const worker = await keepOpen(site, wire);
      const output = path.join(site.cwd, 'my.heapsnapshot');
      const { code, stderr } = await ctl(site, 'heap', worker, '--output', output);
      expect(code).toBe(0);
      expect(stderr).toMatch(/^taking a heap snapshot of worker \d+: it answers no request until .*\nwrote .*\n$/);
      expect(statSync(output).mode & 0o777).toBe(0o600);
      const { snapshot, nodes, strings } = JSON.parse(readFileSync(output, 'utf8'));
      expect(nodes.length).toBe(snapshot.node_count * snapshot.meta.node_fields.length);
      expect(strings).toContain('RetainedThing');
      const deaths = ['worker-died', 'thread-lost', 'hung'];
      expect(site.server.lines.filter(({ event }) => deaths.includes(String(event)))).toEqual([]);
    });

    test('a worker that dies in the middle', { tags }, async () => {
      const site = await start({ model, args: size });
      const { server, cwd } = site;
      await using _ = server;
      using wire = await connect(server.url);
      const worker = await keepOpen(site, wire);
      const profile = await begin(site, 'profile', worker, '--seconds', '60');
      for (const pid of server.workers()) process.kill(pid, 'SIGKILL');
      expect(await ended(profile)).toBe(1);
      expect(profile.text()).toMatch(/^mpserve: the profile of worker \d+ \(pid \d+\) failed: it has ended$/m);
      expect(readdirSync(cwd)).toEqual([]);
      await expectFree(site);
    });
  });
}

test.concurrent('a thread that dies in the middle', async () => {
  const site = await start({ model: 'prethread', args: ['--threads', '2'] });
  const { server, cwd } = site;
  await using _ = server;
  using wire = await connect(server.url);
  const { tid } = JSON.parse((await wire.ask('GET /')).body);
  const profile = await begin(site, 'profile', `1.${tid}`, '--seconds', '60');
  await wire.request('GET /exit');
  expect(await ended(profile)).toBe(1);
  // It may have died before it has begun.
  const reason = `it has ended|it has no thread ${tid}; its threads are [\\d, ]+`;
  expect(profile.text()).toMatch(
    new RegExp(`: the profile of worker 1\\.${tid} \\(pid \\d+\\) failed: (${reason})$`, 'm'),
  );
  expect(readdirSync(cwd)).toEqual([]);
  await expectFree(site);
});

test.concurrent('the thread that is named, and no other one', { tags: 'long' }, async () => {
  const site = await start({ model: 'prethread', args: ['--threads', '2'] });
  const { server, cwd } = site;
  await using _ = server;
  using wire = await connect(server.url);
  const { tid } = JSON.parse((await wire.ask('GET /')).body);
  await wire.ask('GET /burn-on');
  const isBusy = async (thread: number): Promise<boolean> => {
    const output = path.join(cwd, `${thread}.cpuprofile`);
    expect(await ctl(site, 'profile', `1.${thread}`, '--seconds', '1', '--output', output)).toMatchObject({ code: 0 });
    const { nodes, samples } = JSON.parse(readFileSync(output, 'utf8'));
    const idle = nodes.find((node: Node) => node.callFrame.functionName === '(idle)')?.id;
    return samples.filter((id: number) => id === idle).length < samples.length / 2;
  };
  expect([await isBusy(1), await isBusy(2)]).toEqual([tid === 1, tid === 2]);
});

test.concurrent('a second one is refused, and names the first one', async () => {
  const site = await start({ args: ['--workers', '2'] });
  await using _ = site.server;
  const first = await begin(site, 'profile', '2', '--seconds', '60');
  const [, pid] = (await ask(site.control, 'GET', '/workers')).json.map(({ pid }: { pid: number }) => pid);
  for (const command of [['profile', '--seconds', '1'], ['heap']]) {
    const { code, stderr } = await ctl(site, ...command);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(`^mpserve: the profile of worker 2 \\(pid ${pid}\\), begun at \\S+, is in progress; try again`, 'm'),
    );
  }
  // And when the first one is interrupted, nothing of it stays.
  first.child.kill('SIGINT');
  expect(await ended(first)).toBe(130);
  expect(readdirSync(site.cwd)).toEqual([]);
  const { reason } = await site.server.waitFor('its end', ({ event }) => event === 'dump-failed');
  expect(reason).toBe('its caller has gone');
  await expectFree(site);
});

test.concurrent('a caller that goes away while it is sent, without having read', async () => {
  const site = await start({ args: ['--workers', '1'], env: { THINGS: '100000' } });
  const { server, control } = site;
  await using _ = server;
  const sent = request({ socketPath: control, path: '/heap', method: 'POST' }).end();
  sent.on('error', () => {});
  const [response] = await within('its beginning', once(sent, 'response'));
  expect(response.statusCode).toBe(200);
  // It waits for its reader: it is neither lost nor kept.
  expect((await ask(control, 'POST', '/profile', '{"seconds": 1}')).status).toBe(409);
  sent.destroy();
  const { reason } = await server.waitFor('its end', ({ event }) => event === 'dump-failed');
  expect(reason).toBe('its caller has gone');
  await expectFree(site);
});

test.concurrent('a worker that dies while it sends', async () => {
  const site = await start({ args: ['--workers', '1'], env: { THINGS: '100000' } });
  const { server, control } = site;
  await using _ = server;
  const sent = request({ socketPath: control, path: '/heap', method: 'POST' }).end();
  const [response] = await within('its beginning', once(sent, 'response'));
  for (const pid of server.workers()) process.kill(pid, 'SIGKILL');
  await server.waitFor('its death', ({ event }) => event === 'worker-died');
  response.resume();
  const [error] = await within('the connection to be cut', once(response, 'error'));
  expect(error.code).toBe('ECONNRESET');
  expect(response.complete).toBe(false);
  await expectFree(site);
});

test.concurrent('a stop of the server', async () => {
  const site = await start({ args: ['--workers', '1'] });
  const profile = await begin(site, 'profile', '--seconds', '60');
  await site.server.stop();
  expect(await ended(profile)).toBe(1);
  expect(profile.text()).toMatch(/failed: the server is stopping$/m);
  expect(readdirSync(site.cwd)).toEqual([]);
});

test.concurrent('an upgrade of the server', async () => {
  const site = await start({ args: ['--workers', '1', '--probation', '0'] });
  const { server, control, cwd } = site;
  const profile = await begin(site, 'profile', '--seconds', '60');
  expect(await ask(control, 'POST', '/upgrade')).toMatchObject({ status: 200 });
  expect(await ended(profile)).toBe(1);
  expect(profile.text()).toMatch(/failed: an upgrade replaces the server$/m);
  expect(readdirSync(cwd)).toEqual([]);
  // The successor has nothing of it, and takes the next one.
  await expectFree(site);
  expect(await ask(control, 'POST', '/stop')).toMatchObject({ status: 200 });
  await server.noneLeft();
});

test.concurrent('a heap snapshot that takes longer than --hang-timeout', { tags: 'long' }, async () => {
  const hangMs = 500;
  const args = ['--threads', '1', '--hang-timeout', `${hangMs}ms`];
  const site = await start({ model: 'prethread', args, env: { THINGS: '300000' } });
  const { server } = site;
  await using _ = server;
  expect(await ctl(site, 'heap')).toMatchObject({ code: 0 });
  using wire = await connect(server.url);
  const { maxLagMs } = JSON.parse((await wire.ask('GET /')).body);
  expect(maxLagMs).toBeGreaterThan(1.5 * hangMs);
  expect(server.lines.filter(({ event }) => event === 'hung')).toEqual([]);
  // From now on the worker is watched again.
  await wire.request('GET /burn?60000');
  await server.waitFor('the hang to be found', ({ event }) => event === 'hung');
});

test.concurrent('to standard output, as JSON, and over HTTP', async () => {
  const site = await start({ args: ['--workers', '1'] });
  await using _ = site.server;
  const piped = await ctl(site, 'profile', '--seconds', '1', '--output', '-');
  expect(JSON.parse(piped.stdout)).toHaveProperty('nodes');
  expect(piped.stderr).toBe('profiling worker 1 for 1 s\nwrote it to standard output\n');
  const { stdout } = await ctl(site, 'profile', '--seconds', '1', '--output', 'a.cpuprofile', '--json');
  expect(JSON.parse(stdout)).toEqual({ ok: true, message: 'a.cpuprofile' });
  const posted = await ask(site.control, 'POST', '/profile', '{"worker": 1, "seconds": 1}');
  expect(posted).toMatchObject({ status: 200, json: { nodes: expect.any(Array) } });
  for (const body of ['{"seconds": 0}', '{"seconds": 61}', '{"worker": "../1"}']) {
    expect(await ask(site.control, 'POST', '/profile', body)).toMatchObject({ status: 409, json: { ok: false } });
  }
  for (const body of ['{"seconds": "1"}', '{"worker": {}}', '{']) {
    expect(await ask(site.control, 'POST', '/profile', body)).toMatchObject({ status: 400, json: { ok: false } });
  }
  expect(await ask(site.control, 'GET', '/heap')).toMatchObject({ status: 405 });
});

test.concurrent('only over the control socket', async () => {
  const site = await start({ args: ['--workers', '1', '--admin', '0'] });
  await using _ = site.server;
  const { url } = await site.server.waitFor('the admin server', ({ event }) => event === 'admin-ready');
  for (const [method, page] of [
    ['POST', '/profile'],
    ['POST', '/heap'],
    ['GET', '/stacks'],
  ]) {
    const { status } = await fetch(`${url}${page}`, { method: method as string });
    expect([404, 405]).toContain(status);
  }
});

test.concurrent('requests are served while a worker is profiled', { tags: 'long' }, async () => {
  const site = await start({ args: ['--workers', '1'] });
  await using _ = site.server;
  const clients = new Clients(site.server.url, 2, 'kept-alive');
  expect(await ctl(site, 'profile', '--seconds', '1')).toMatchObject({ code: 0 });
  const { answered, failures } = await clients.stop();
  expect(answered).toBeGreaterThan(0);
  expect(failures).toEqual([]);
});

type Case = readonly [args: readonly string[], code: number, message: RegExp];

test.concurrent('what cannot be done says what to do', async () => {
  const site = await start({ args: ['--workers', '2'] });
  await using _ = site.server;
  const existing = path.join(site.cwd, 'existing');
  writeFileSync(existing, 'mine');
  const cases: readonly Case[] = [
    [
      ['profile', 'abc'],
      2,
      /^'abc' is no worker; use its number, as in mpserve ctl profile 2, or 2\.1 for its thread 1/,
    ],
    [['heap', '1.x'], 2, /^'1\.x' is no worker/],
    [['profile', '1', '2'], 2, /takes one argument, but got '2' as well$/],
    [['profile', '7'], 1, /^there is no worker 7; the workers are 1, 2$/],
    [['profile', '--seconds', '0'], 2, /^--seconds must be a whole number from 1 to 60, not '0'$/],
    [['profile', '--seconds', '61'], 2, /^--seconds must be a whole number from 1 to 60, not '61'$/],
    [['profile', '--seconds', 'abc'], 2, /^--seconds must be a whole number from 1 to 60, not 'abc'$/],
    [['heap', '--seconds', '5'], 2, /^--seconds only works with mpserve ctl profile; remove it$/],
    [['stacks', '--output', 'a'], 2, /^--output only works with mpserve ctl profile and mpserve ctl heap; remove it$/],
    [['stacks', '1'], 2, /^mpserve ctl stacks takes no argument, but got '1'$/],
    [
      ['profile', '--output', 'existing'],
      2,
      /^existing exists already; remove it, or name another file with --output$/,
    ],
    [
      ['heap', '--output', 'gone/a'],
      2,
      /^the directory of gone\/a does not exist; create it, or use another --output$/,
    ],
    [['heap', '--output', '.'], 2, /^\. exists already; /],
  ];
  const check = async ([args, code, message]: Case): Promise<void> => {
    const outcome = await ctl(site, ...args);
    const last = outcome.stderr.trim().split('\n').pop() ?? '';
    expect({ args, code: outcome.code, stdout: outcome.stdout }).toEqual({ args, code, stdout: '' });
    expect(last.replace('mpserve: ', '')).toMatch(message);
  };
  await Promise.all(cases.map(check));
  // By itself, as it is in progress until the worker has refused it.
  await check([['profile', '1.1'], 1, /it has no threads, so leave out the point$/]);
  expect(readFileSync(existing, 'utf8')).toBe('mine');
  expect(readdirSync(site.cwd)).toEqual(['existing']);
  const gone = await runCli(['ctl', 'profile', '--control', `${site.control}.gone`], { cwd: site.cwd });
  expect(gone).toMatchObject({ code: 3, stderr: expect.stringMatching(/no such socket/) });
  expect(existsSync(path.join(site.cwd, 'gone'))).toBe(false);
});

test.concurrent('an unknown thread', async () => {
  const site = await start({ model: 'prethread', args: ['--threads', '2'] });
  await using _ = site.server;
  const { code, stderr } = await ctl(site, 'profile', '1.99');
  expect(code).toBe(1);
  expect(stderr).toMatch(/failed: it has no thread 99; its threads are 1, 2$/m);
  expect(readdirSync(site.cwd)).toEqual([]);
});

test.concurrent('a blocked worker is not waited for', async () => {
  const site = await start({ args: ['--workers', '1', '--hang-timeout', '0', '--graceful-timeout', '100ms'] });
  await using _ = site.server;
  using wire = await connect(site.server.url);
  await wire.request('GET /burn?60000');
  await site.server.waitFor('the request', ({ seen }) => seen === 'burn');
  const { code, stderr } = await ctl(site, 'profile');
  expect(code).toBe(1);
  expect(stderr).toMatch(/failed: its event loop is blocked; mpserve ctl stacks shows by what$/m);
  await site.server.stop();
});
