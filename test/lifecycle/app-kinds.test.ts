// Every kind of app, unmodified, in a real server: it answers, its address() returns the address of mpserve, and its
// output is printed.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { within } from '../helpers/eventually.ts';
import { ofConnections, testPlacements } from '../helpers/placements.ts';
import { fixture, runCli, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-'));
  writeFileSync(path.join(folder, 'index.html'), 'directory');
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The file of each app, and what it answers to `GET /`. */
const apps = [
  ['listen.cjs', 'listen'],
  ['listen-late.mjs', 'listen-late'],
  ['listener.cjs', 'listener'],
  ['listener.mjs', 'listener'],
  ['listener.mjs#admin', 'admin'],
  ['server.cjs', 'server'],
  ['express.cjs', 'express'],
  ['koa.cjs', 'koa'],
  ['fastify.mjs', 'fastify'],
  ['fastify-listen.mjs', 'fastify-listen'],
  ['hono.mjs', 'hono'],
  ['fetch.mjs', 'fetch'],
  ['ws.cjs', 'ws'],
  ['ws-late.mjs', 'ws-late'],
] as const;

async function serves(app: string | undefined, model: string, answer: string): Promise<void> {
  const one = model === 'prefork' ? ['--workers', '1'] : [];
  await using server = await startServer({ ...(app && { app }), model, args: ['--graceful-timeout', '5s', ...one] });
  using wire = await connect(server.url);
  const { status, body } = await wire.ask('GET /');
  expect({ status, body }).toEqual({ status: 200, body: answer });
}

describe.concurrent.each(['prefork', 'prethread'])('in %s', (model) => {
  // Each kind is loaded in a thread by test/unit/app-kinds.test.ts, too.
  const tags = model === 'prethread' ? ['long'] : [];
  test.each(apps)('%s answers', { tags }, (app, answer) => serves(fixture(app), model, answer));
  test('a directory is served', () => serves(folder, model, 'directory'));
  test('without an app, the demo app is served', () => serves(undefined, model, 'Hello, World!'));
});

describe.concurrent.each(['ppc', 'tpc', 'hybrid'])('in %s', (model) => {
  test('an app that listens answers', () => serves(fixture('listen.cjs'), model, 'listen'));
  test('an app that exports a fetch handler answers', () => serves(fixture('fetch.mjs'), model, 'fetch'));
});

describe.concurrent.each(['prefork', 'prethread'])('in %s', (model) => {
  test('address() of an app that listens returns the address of mpserve', async () => {
    const socket = path.join(folder, `${model}.sock`);
    await using tcp = await startServer({ app: fixture('listen.cjs'), model });
    await using unix = await startServer({ app: fixture('listen.cjs'), model, bind: [`unix:${socket}`] });
    expect(tcp.plain).toContain(`listening on ${new URL(tcp.url).port}`);
    expect(unix.plain).toContain(`listening on ${socket}`);
  });
});

test('a relative path of an app is resolved against the current directory', async () => {
  await using server = await startServer({ app: './listener.mjs#admin', cwd: fixture('.'), model: 'prefork' });
  using wire = await connect(server.url);
  expect((await wire.ask('GET /')).body).toBe('admin');
});

test('of a file and a directory of the same name, the file is the app, unless the name ends in a slash', async () => {
  const place = path.join(folder, 'names');
  mkdirSync(path.join(place, 'site'), { recursive: true });
  writeFileSync(path.join(place, 'site/index.html'), 'directory');
  writeFileSync(path.join(place, 'site.js'), "module.exports = (_req, res) => res.end('file');");
  await serves(path.join(place, 'site'), 'prefork', 'file');
  await serves(path.join(place, 'site/'), 'prefork', 'directory');
});

const strips = Boolean((process.features as { typescript?: unknown }).typescript);
test('TypeScript runs if Node strips types; otherwise an error names the required version', async () => {
  if (strips) return serves(fixture('typescript.ts'), 'prefork', 'typescript');
  const { code, stderr } = await runCli([fixture('typescript.ts'), '--bind', '127.0.0.1:0']);
  expect(code).toBe(4);
  expect(stderr).toContain('Node 22.18 and newer run TypeScript');
});

testPlacements(
  'a WebSocket echoes messages',
  async ({ model, accept, args = [] }) => {
    const app = fixture('ws.cjs');
    await using server = await startServer({ app, model, ...(accept && { accept }), args });
    const client = new WebSocket(server.url.replace('http', 'ws'));
    const echoed = new Promise<string>((resolve, reject) => {
      client.once('open', () => client.send('hello')).once('error', reject);
      client.once('message', (data) => resolve(String(data)));
    });
    expect(await within('the echo', echoed)).toBe('hello');
    client.close();
  },
  ofConnections,
);

describe.concurrent.each(['prefork', 'prethread', 'ppc'])('in %s', (model) => {
  const app = fixture('prints.cjs');

  test('output of the app passes through unchanged', async () => {
    await using server = await startServer({ app, model });
    using wire = await connect(server.url);
    await wire.ask('GET /x');
    await server.stop();
    expect(server.plain).toEqual(expect.arrayContaining(['loading: out', 'request: out /x']));
    expect(server.stderr.split('\n')).toEqual(expect.arrayContaining(['loading: err', 'request: err /x']));
  });

  test('with --capture-output, output of the app becomes log lines', async () => {
    await using server = await startServer({ app, model, args: ['--capture-output'] });
    using wire = await connect(server.url);
    await wire.ask('GET /x');
    for (const [stream, short] of [
      ['stdout', 'out'],
      ['stderr', 'err'],
    ]) {
      for (const text of [`loading: ${short}`, `request: ${short} /x`]) {
        const line = await server.waitFor(text, ({ msg }) => msg === text);
        expect(line).toMatchObject({ level: 30, event: 'output', stream, pid: expect.any(Number) });
        expect(line.pid).not.toBe(server.pid);
      }
    }
    expect(server.plain).toEqual([]);
    expect(server.stderr).toBe('');
  });
});
