// An app with servers besides the one that mpserve serves: all workers share their sockets, through whatever happens to the
// workers, and to the app they behave as on plain Node.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Placement, testPlacements, testSomePlacements, units } from '../helpers/placements.ts';
import { isAlive } from '../helpers/process-tree.ts';
import { type Line, runCli, type Server, startServer } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';
import { connect, isRefused } from '../helpers/wire.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-secondary-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;
/** A file with this code. It can tell the test something, as a line of JSON, and knows in which worker it is. */
function write(code: string): string {
  const file = path.join(folder, `app-${count++}.cjs`);
  writeFileSync(file, prelude + code);
  return file;
}

const prelude = `
const http = require('node:http');
const net = require('node:net');
const { existsSync, writeSync } = require('node:fs');
const worker = process.pid + ':' + require('node:worker_threads').threadId;
const tell = (seen, more) => writeSync(1, JSON.stringify({ seen, worker, ...more }) + '\\n');
const serve = (text) => http.createServer((req, res) => {
  if (req.url === '/exit') process.exit(7);
  res.end(text);
});
`;

/** Serves \`text\`, and the name of the worker on another port. */
const twoServers = (text: string, listen = "0, '127.0.0.1'"): string => `
const other = serve(worker);
other.listen(${listen}, () => tell('secondary', { address: other.address() }));
serve(${JSON.stringify(text)}).listen(3000);
`;

/** An address of this machine that nothing else uses, for servers that must have certain ports. */
const unusedHost = (): string => `127.${1 + (count % 200)}.${(process.pid >> 8) & 255}.${1 + (process.pid & 127)}`;

const isSecondary = ({ seen }: Line): boolean => seen === 'secondary';

async function secondaryUrl(server: Server): Promise<string> {
  const { address } = await server.waitFor('the secondary server to listen', isSecondary);
  return typeof address === 'string' ? `unix:${address}` : `http://127.0.0.1:${(address as net.AddressInfo).port}`;
}

async function get(url: string, target = '/'): Promise<string> {
  using wire = await connect(url);
  return (await wire.ask(`GET ${target}`, { connection: 'close' })).body;
}

const start = (placement: Pick<Placement, 'model' | 'accept' | 'args'>, app: string, args: readonly string[] = []) =>
  startServer({ ...placement, app, args: [...(placement.args ?? []), ...args] });

testSomePlacements(
  units,
  'clients of a secondary port lose nothing in a reload, a switch and an upgrade',
  async (placement) => {
    const { model, accept, args = [] } = placement;
    const words = [...args, ...(accept ? ['--accept', accept] : [])];
    // Connections that are kept alive are announced to be closed, however slow the machine is.
    const config = { drainQuiet: '30s' };
    const site = await Site.start(model, words, config, {}, undefined, prelude + twoServers('first'));
    try {
      const { server } = site;
      const url = await secondaryUrl(server);
      expect(await get(server.url)).toBe('first');
      const clients = [new Clients(url, 2, 'one-each'), new Clients(url, 2, 'kept-alive')];
      const further = async (): Promise<void> => {
        const since = clients.map(({ done }) => done);
        await eventually('further answers', () => clients.every(({ done }, i) => done > (since[i] as number) + 10));
      };
      await further();
      site.write(prelude + twoServers('second'));
      expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
      expect(await get(server.url)).toBe('second');
      await further();
      const options = { model: model === 'prefork' ? 'prethread' : 'prefork' };
      expect(await site.ask('POST', '/switch', JSON.stringify({ options }))).toMatchObject({ status: 200 });
      await further();
      expect(await site.ask('POST', '/upgrade')).toMatchObject({ status: 200 });
      await eventually('the old server to exit', () => !isAlive(server.pid));
      await further();
      for (const one of clients) {
        const { failures, reconnects } = await one.stop();
        expect({ failures, reconnects }).toEqual({ failures: [], reconnects: 0 });
      }
      // All of them had the same port.
      const ports = server.lines.filter(isSecondary).map(({ address }) => (address as net.AddressInfo).port);
      expect(new Set(ports).size).toBe(1);
      const { json } = await site.ask('GET', '/status');
      expect(await site.ask('POST', '/stop')).toMatchObject({ status: 200 });
      await eventually('the successor to exit', () => !isAlive(json.pid));
      expect(await isRefused(url)).toBe(true);
      await server.noneLeft();
    } finally {
      await site.remove();
    }
  },
);

testPlacements(
  'with --secondary first-worker one worker accepts, and when it ends another one does',
  async (placement) => {
    await using server = await start(placement, write(twoServers('main')), ['--secondary', 'first-worker']);
    const url = await secondaryUrl(server);
    for (let deaths = 0; deaths < 3; deaths++) {
      const worker = await get(url);
      for (let i = 0; i < 10; i++) {
        expect(await get(url)).toBe(worker);
        if (i < 3) expect(await get(server.url)).toBe('main');
      }
      using wire = await connect(url);
      await wire.request('GET /exit');
      await wire.rest();
      // The kernel queues the clients until another one accepts.
      expect(await get(url)).not.toBe(worker);
    }
  },
);

testSomePlacements(units, 'a port that another program has is an error as on plain Node', async (placement) => {
  const holder = net.createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  try {
    const { port } = holder.address() as net.AddressInfo;
    const file = write(`
const other = serve('');
other.on('error', (error) => {
  const { code, errno, syscall, address, port, message } = error;
  tell('refused', { error: { code, errno, syscall, address, port, message }, isListening: other.listening });
  other.listen(0, '127.0.0.1', () => {
    tell('secondary', { address: other.address() });
    if (process.argv[2]) process.exit();
  });
});
other.listen(${port}, '127.0.0.1');
serve('main').listen(process.argv[2] ? 0 : 3000);
`);
    const { stdout } = await promisify(execFile)(process.execPath, [file, 'plain']);
    const { error, isListening } = JSON.parse(stdout.split('\n')[0] as string);
    expect(error.code).toBe('EADDRINUSE');
    await using server = await start(placement, file);
    const told = await server.waitFor('the error', ({ seen }) => seen === 'refused');
    expect(told).toMatchObject({ error, isListening });
    await secondaryUrl(server);
    expect(await get(server.url)).toBe('main');
  } finally {
    holder.close();
  }
});

testSomePlacements(units, 'a port on which mpserve itself listens is named, with what to do', async (placement) => {
  const file = write(`
serve('metrics').listen(3001);
const main = serve('main');
main.on('error', ({ code, message }) => tell('refused', { code, message }));
main.listen(process.env.PORT);
`);
  await using server = await start(placement, file, ['--serve', '3001']);
  const port = Number(new URL(server.url).port);
  const told = await server.waitFor('the error', ({ seen }) => seen === 'refused');
  expect(told).toMatchObject({
    code: 'EADDRINUSE',
    message: expect.stringContaining(`mpserve itself listens on port ${port}, `),
  });
  expect(told.message).toContain(`--serve ${port}`);
  expect(await get(server.url)).toBe('metrics');
});

testSomePlacements(units, 'a worker cannot open more sockets than the limit', async (placement) => {
  const file = write(`
const opened = Array.from({ length: 66 }, () => new Promise((resolve) => {
  net.createServer().listen(0, '127.0.0.1', () => resolve(undefined)).on('error', resolve);
}));
Promise.all(opened).then((errors) => {
  const [error, ...others] = errors.filter((one) => one !== undefined);
  tell('opened', { code: error.code, message: error.message, refused: others.length + 1 });
  serve('main').listen(3000);
});
`);
  await using server = await start(placement, file);
  const told = await server.waitFor('the sockets', ({ seen }) => seen === 'opened');
  expect(told).toMatchObject({ code: 'ERR_MPSERVE_TOO_MANY_SOCKETS', refused: 2 });
  expect(told.message).toContain('at most 64');
});

testSomePlacements(
  units,
  'a Unix socket of the app has the mode that it asks for, and its file goes with the server',
  async (placement) => {
    const file = path.join(folder, `${placement.name.replace(' ', '-')}.sock`);
    const listen = JSON.stringify({ path: file, writableAll: true, readableAll: true });
    {
      // As many apps do, since a server that was killed leaves the file behind.
      const removing = `require('node:fs').rmSync(${JSON.stringify(file)}, { force: true });`;
      await using server = await start(placement, write(removing + twoServers('main', listen)));
      const url = await secondaryUrl(server);
      expect(url).toBe(`unix:${file}`);
      // A client that comes when a worker has just removed the file has to try again, as on plain Node.
      const answer = () => eventually('an answer', () => get(url).catch(() => undefined));
      expect(await answer()).toMatch(/^\d+:\d+$/);
      expect(statSync(file).mode & 0o666).toBe(0o666);
      server.child.kill('SIGHUP');
      await server.waitFor('the reload', ({ event }) => event === 'reloaded');
      expect(await answer()).toMatch(/^\d+:\d+$/);
    }
    expect(existsSync(file)).toBe(false);
  },
);

testSomePlacements(
  units,
  'a worker that listens on a path that leads nowhere any more hears why, and the server goes on',
  async (placement) => {
    const own = path.join(folder, `nowhere-${placement.name.replace(' ', '-')}`);
    const file = path.join(own, 'x.sock');
    mkdirSync(own);
    const code = `
const other = serve(worker);
other.on('error', ({ code, address }) => tell('refused', { code, address }));
other.listen(${JSON.stringify(file)}, () => tell('secondary', { address: other.address() }));
serve('main').listen(3000);
`;
    await using server = await start(placement, write(code));
    await secondaryUrl(server);
    const replaceWorker = async (): Promise<void> => {
      using wire = await connect(server.url);
      await wire.request('GET /exit');
      await wire.rest();
    };
    unlinkSync(file);
    symlinkSync(file, file);
    await replaceWorker();
    await server.waitFor('the error', ({ code, address }) => code === 'ELOOP' && address === file);
    renameSync(own, `${own}.old`);
    writeFileSync(own, '');
    await replaceWorker();
    await server.waitFor('the error', ({ code, address }) => code === 'ENOTDIR' && address === file);
    expect(await get(server.url)).toBe('main');
  },
);

test('a folder with the second name of a Unix socket stays, and neither a close nor a graceful stop minds it', async () => {
  const files = ['closed.sock', 'open.sock'].map((name) => path.join(folder, name));
  const release = path.join(folder, 'release-stop');
  const code = `
const others = ${JSON.stringify(files)}.map((file) => net.createServer().listen(file, () => tell('listening')));
let answer;
http.createServer((req, res) => {
  if (req.url === '/close') others[0].close(() => res.end('closed'));
  else if (req.url === '/slow') answer = () => res.end('late');
  else res.end('main');
  if (answer) tell('arrived');
}).listen(3000);
setInterval(() => {
  if (answer && existsSync(${JSON.stringify(release)})) answer();
}, 10);
`;
  await using server = await startServer({ app: write(code), model: 'prefork', args: ['--workers', '1'] });
  await server.waitForMany('both servers', ({ seen }) => seen === 'listening', 2);
  const seconds = files.map((file) => `${file}.mpserve`);
  for (const second of seconds) {
    unlinkSync(second);
    mkdirSync(second);
  }
  expect(await get(server.url, '/close')).toBe('closed');
  await eventually('the socket to be closed', () => !existsSync(files[0] as string));
  expect(await get(server.url)).toBe('main');
  using wire = await connect(server.url);
  await wire.request('GET /slow');
  await server.waitFor('the request', ({ seen }) => seen === 'arrived');
  server.child.kill('SIGTERM');
  await server.waitFor('the stop', ({ event }) => event === 'stopping');
  writeFileSync(release, '');
  expect((await wire.response()).body).toBe('late');
  expect(await server.exit).toMatchObject({ code: 0 });
  expect(seconds.map((second) => existsSync(second))).toEqual([true, true]);
  expect(files.map((file) => existsSync(file))).toEqual([false, false]);
});

describe.concurrent.each(['prefork', 'prethread', 'ppc'])('in %s', (model) => {
  const args = { prefork: ['--workers', '2'], prethread: ['--threads', '2'] }[model] ?? [];

  test('a request on a secondary port that is in flight at a reload is answered', async () => {
    const release = path.join(folder, `release-${model}`);
    const code = `${prelude}
let answer;
const other = http.createServer((req, res) => {
  if (req.url === '/slow') {
    answer = () => res.end('late');
    tell('arrived');
  } else res.end('at once');
});
setInterval(() => {
  if (answer && existsSync(process.env.RELEASE)) answer();
}, 10);
other.listen(0, '127.0.0.1', () => tell('secondary', { address: other.address() }));
serve('first').listen(3000);
`;
    await using site = await Site.start(model, args, {}, { RELEASE: release }, undefined, code);
    const url = await secondaryUrl(site.server);
    using wire = await connect(url);
    await wire.request('GET /slow');
    await site.server.waitFor('the request', ({ seen }) => seen === 'arrived');
    site.write(prelude + twoServers('second'));
    const reloading = site.ask('POST', '/reload');
    await eventually('the new generation', async () => (await get(site.server.url)) === 'second');
    writeFileSync(release, '');
    expect((await wire.response()).body).toBe('late');
    expect(await reloading).toMatchObject({ status: 200 });
  });

  test('a socket is closed when the next generation does not ask for it, or the app closes its server', async () => {
    await using site = await Site.start(model, args, {}, {}, undefined, prelude + twoServers('first'));
    const url = await secondaryUrl(site.server);
    expect(await get(url)).toMatch(/:/);
    site.write(`${prelude}
const other = serve('');
other.listen(0, '127.0.0.2', () => {
  tell('brief', { address: other.address() });
  other.close(() => tell('closed', { isListening: other.listening, address: other.address() }));
});
serve('second').listen(3000);
`);
    expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
    expect(await get(site.server.url)).toBe('second');
    await eventually('the port to be closed', () => isRefused(url));
    const { address } = await site.server.waitFor('the brief server', ({ seen }) => seen === 'brief');
    const closed = await site.server.waitFor('its end', ({ seen }) => seen === 'closed');
    expect(closed).toMatchObject({ isListening: false, address: null });
    const { port } = address as net.AddressInfo;
    if (model !== 'ppc') await eventually('the port to be closed', () => isRefused(`http://127.0.0.2:${port}`));
  });

  test('a reload that fails leaves the secondary sockets as they were', async () => {
    await using site = await Site.start(model, args, {}, {}, undefined, prelude + twoServers('first'));
    const url = await secondaryUrl(site.server);
    site.write(`${prelude}
const other = serve('');
other.listen(0, '127.0.0.2', () => {
  tell('new', { address: other.address() });
  throw new Error('no');
});
`);
    expect((await site.ask('POST', '/reload')).status).toBe(500);
    const { address } = await site.server.waitFor('the new server', ({ seen }) => seen === 'new');
    expect(await get(url)).toMatch(/:/);
    const { port } = address as net.AddressInfo;
    await eventually('its port to be closed', () => isRefused(`http://127.0.0.2:${port}`));
  });
});

test('an upgrade that fails leaves the files of the Unix sockets', async () => {
  const file = path.join(folder, 'upgrade.sock');
  const code = prelude + twoServers('first', JSON.stringify(file));
  await using site = await Site.start('prefork', ['--bind', 'unix:SOCKET'], {}, {}, undefined, code);
  const urls = [...site.server.urls, await secondaryUrl(site.server)];
  site.write('throw new Error("broken")');
  expect((await site.ask('POST', '/upgrade')).status).toBe(500);
  for (const url of urls) expect(await get(url)).not.toBe('');
});

test('an upgrade that cannot replace the pid file leaves the files of the Unix sockets', async () => {
  const code = prelude + twoServers('first', JSON.stringify(path.join(folder, 'late.sock')));
  const pids = path.join(folder, 'pids');
  mkdirSync(pids);
  const args = ['--bind', 'unix:SOCKET', '--pid-file', path.join(pids, 'pid')];
  await using site = await Site.start('prefork', args, {}, {}, undefined, code);
  const urls = [...site.server.urls, await secondaryUrl(site.server)];
  site.write(`${prelude}serve('second').listen(3000);`); // it does not want the secondary socket
  rmSync(pids, { recursive: true });
  expect(await site.ask('POST', '/upgrade')).toMatchObject({
    status: 500,
    json: { error: expect.stringMatching(/the old server keeps serving: cannot write the pid file .* does not exist/) },
  });
  for (const url of urls) expect(await get(url)).not.toBe('');
  expect((await site.ask('GET', '/status')).json).toMatchObject({ pid: site.server.pid, state: 'serving' });
});

test('a successor that is stopped before it is ready leaves the files of the Unix sockets', async () => {
  const code = `${prelude}tell('loaded', { supervisor: process.ppid });
${twoServers('first', JSON.stringify(path.join(folder, 'early.sock')))}`;
  const args = ['--bind', 'unix:SOCKET', '--workers', '1'];
  await using site = await Site.start('prefork', args, { probation: '1h' }, {}, undefined, code);
  const urls = [...site.server.urls, await secondaryUrl(site.server)];
  const upgrading = site.ask('POST', '/upgrade');
  const isSuccessors = ({ seen, supervisor }: Line) => seen === 'loaded' && supervisor !== site.server.pid;
  const { supervisor } = await site.server.waitFor('the successor to load the app', isSuccessors);
  process.kill(Number(supervisor), 'SIGTERM');
  expect(await upgrading).toMatchObject({
    status: 500,
    json: { error: expect.stringMatching(/the old server keeps serving: it exited with code 0/) },
  });
  for (const url of urls) expect(await get(url)).not.toBe('');
  expect((await site.ask('GET', '/status')).json).toMatchObject({ pid: site.server.pid, state: 'serving' });
});

test('an app that forks workers of its own gets a line that says why it does not load', async () => {
  const app = write(`
const cluster = require('node:cluster');
if (cluster.isPrimary) cluster.fork();
else serve('main').listen(0, '127.0.0.1');
`);
  const { code, stdout, stderr, left } = await runCli([app, '--bind', '127.0.0.1:0', '--workers', '2']);
  expect({ code, left }).toEqual({ code: 4, left: [] });
  expect(stdout.split('\n').filter((line) => line.includes('"cluster-fork"'))).toHaveLength(1);
  expect(stderr).toMatch(/forks workers of its own with cluster\.fork\(\) .* use --workers/);
});

test('without a server on the port of --serve the app does not load, and the error names where it listens', async () => {
  const app = write("serve('main').listen(0, '127.0.0.1');");
  const { code, stderr, left } = await runCli([app, '--bind', '127.0.0.1:0', '--serve', '3000']);
  expect({ code, left }).toEqual({ code: 4, left: [] });
  expect(stderr).toMatch(/listens on any free port, and not on port 3000 with an http\.Server; change --serve/);
});

test('servers beside an exported app are secondary', async () => {
  const code = `module.exports = (req, res) => res.end('exported');\n${twoServers('main').split('serve("main')[0]}`;
  await using server = await startServer({ app: `${write(`${code}module.exports.app = module.exports;`)}#app` });
  expect(await get(server.url)).toBe('exported');
  expect(await get(await secondaryUrl(server))).toMatch(/:/);
  const line = await server.waitFor('the line', ({ event }) => event === 'several-servers');
  expect(line).toMatchObject({ served: 'that it exports', others: ['any free port'] });
});

describe.concurrent('the server that is served', () => {
  const listen = (text: string, port: number) => `serve('${text}').listen(${port}, HOST);`;
  const [metrics, main] = [listen('metrics', 23_464), listen('main', 23_000)];

  test.each([
    ['the one with the lowest port', [metrics, main], [], 'main'],
    ['the same when it listens first', [main, metrics], [], 'main'],
    ['the first with --serve first', [metrics, main], ['--serve', 'first'], 'metrics'],
    ['the last with --serve last', [main, metrics], ['--serve', 'last'], 'metrics'],
    ['the one on a port with --serve PORT', [main, metrics], ['--serve', '23464'], 'metrics'],
    ['one that listens when another one does', [metrics.replace(');', `, () => { ${main} });`)], [], 'main'],
    [
      'one that listens later, on the port of --serve',
      [metrics, `setTimeout(() => { ${main} }, 300);`],
      ['--serve', '23000'],
      'main',
    ],
  ] as const)('is %s', async (_, code, args, served) => {
    await using server = await startServer({
      app: write(`const HOST = '${unusedHost()}';\n${code.join('\n')}`),
      args: ['--workers', '2', ...args],
    });
    expect(await get(server.url)).toBe(served);
    const lines = server.lines.filter(({ event }) => event === 'several-servers');
    expect(lines).toHaveLength(1);
    const [port, other] = served === 'main' ? [23_000, 23_464] : [23_464, 23_000];
    expect(lines[0]).toMatchObject({ served: `on port ${port}`, others: [`port ${other}`] });
  });

  test('is the one on the port of PORT, whatever the other ports are', async () => {
    const code = `const HOST = '${unusedHost()}';\n${main}\nserve('by PORT').listen(process.env.PORT);`;
    await using server = await startServer({ app: write(code), args: ['--workers', '2'] });
    expect(await get(server.url)).toBe('by PORT');
    const line = await server.waitFor('the line', ({ event }) => event === 'several-servers');
    expect(line).toMatchObject({ served: `on port ${new URL(server.url).port}`, others: ['port 23000'] });
  });
});
