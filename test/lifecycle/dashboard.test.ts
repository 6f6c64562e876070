// The dashboard's side of the server: its files, the live stream, and who may act. test/browser has the page itself.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LiveUpdate } from '../../src/admin/live.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Server, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

const token = '0123456789abcdef0123456789abcdef';
const authorization = `Bearer ${token}`;
const json = { 'content-type': 'application/json' };

let folder: string;
let withToken: readonly string[];
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-live-'));
  const file = path.join(folder, 'token');
  writeFileSync(file, token, { mode: 0o600 });
  withToken = ['--admin-token-file', file];
});
afterAll(() => rmSync(folder, { recursive: true }));

async function start(args: readonly string[] = [], app?: string): Promise<[Server, string]> {
  const server = await startServer({ ...(app && { app }), args: ['--admin', '0', '--workers', '1', ...args] });
  const { url } = await server.waitFor('the admin server', ({ event }) => event === 'admin-ready');
  return [server, String(url)];
}

type Headers = Readonly<Record<string, string>>;

/** @param target a URL, or the path of a Unix socket, `#` and a path */
function open(target: string, headers: Headers = {}, method = 'GET', body = ''): Promise<IncomingMessage> {
  const [socketPath = '', path = ''] = target.split('#');
  const url = target.startsWith('/') ? undefined : new URL(target);
  const place = url ? { hostname: url.hostname, port: url.port, path: url.pathname } : { socketPath, path };
  return new Promise((resolve, reject) => {
    request({ ...place, headers, method, agent: false }, resolve)
      .on('error', reject)
      .end(body);
  });
}

async function ask(url: string, headers?: Headers, method?: string, body?: string) {
  const response = await open(url, headers, method, body);
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part;
  return { status: response.statusCode, headers: response.headers, text };
}

/** What a client has been told so far. */
async function follow(url: string, headers?: Headers): Promise<{ updates: LiveUpdate[]; response: IncomingMessage }> {
  const response = await open(url, headers);
  expect(response.statusCode).toBe(200);
  expect(response.headers['content-type']).toBe('text/event-stream');
  const updates: LiveUpdate[] = [];
  let rest = '';
  response.setEncoding('utf8').on('data', (part: string) => {
    const messages = (rest + part).split('\n\n');
    rest = messages.pop() ?? '';
    for (const message of messages) if (message.startsWith('data: ')) updates.push(JSON.parse(message.slice(6)));
  });
  response.on('error', () => {});
  await eventually('the first update', () => updates.length > 0);
  return { updates, response };
}

test('the files are for everyone, and name no other host', async () => {
  const [server, url] = await start(withToken);
  await using _ = server;
  for (const file of ['/', '/dashboard.js', '/dashboard.css']) {
    const { status, headers, text } = await ask(`${url}${file}`);
    expect(status).toBe(200);
    expect(headers['content-security-policy']).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    expect(text).not.toMatch(/(https?:)?\/\/[a-z]/i);
    expect(text).not.toContain('server.js');
  }
  expect((await ask(`${url}/`, {}, 'HEAD')).status).toBe(200);
  expect(await ask(`${url}/`, {}, 'POST')).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
  expect(await ask(`${url}/index.html`, { authorization })).toMatchObject({ status: 404 });
});

test('the stream tells what there is, then what is new', async () => {
  const [server, url] = await start();
  await using _ = server;
  const { updates } = await follow(`${url}/live`);
  expect(updates[0]).toMatchObject({ mayAct: false, status: { state: 'serving' }, workers: [{ stage: 'ready' }] });
  expect(updates[0]?.models).toContainEqual(
    expect.objectContaining({ name: 'prethread', hasWorkers: false, hasThreads: true }),
  );
  using wire = await connect(server.url);
  for (let i = 0; i < 20; i++) await wire.ask(`GET /${i}`);
  const sum = () => updates.flatMap(({ points }) => points).reduce((all, { requests }) => all + requests, 0);
  await eventually('the requests', () => sum() > 15); // each point is of about a second
  const busy = updates.flatMap(({ points }) => points).find(({ requests }) => requests > 0);
  expect(busy).toMatchObject({ errors: 0, connections: 1, p50: expect.any(Number), p99: expect.any(Number) });
  process.kill(server.workers()[0] as number, 'SIGKILL');
  await eventually('the exit', () => updates.some(({ events }) => events.some(({ kind }) => kind === 'exit')));
  await eventually('the line', () => updates.some(({ log }) => log.some(({ text }) => text.includes('SIGKILL'))));
  await eventually('two later updates', () => {
    const times = updates.flatMap(({ points }) => points.map(({ at }) => at));
    return times.length > 3 && new Set(times).size === times.length;
  });
});

test('what an app prints and clients send is escaped', async () => {
  const app = path.join(folder, 'prints.cjs');
  writeFileSync(
    app,
    `module.exports = (req, res) => {
      console.log('\\u001b[31mred\\u202e </script>');
      if (req.url.startsWith('/crash')) throw new Error('\\u001b]0;title\\u0007');
      res.end();
    };`,
  );
  const [server, url] = await start(['--capture-output'], app);
  await using _ = server;
  const { updates } = await follow(`${url}/live`);
  using wire = await connect(server.url);
  await wire.ask('GET /crash?%1b', { 'x-request-id': 'a</script>' });
  const lines = () => updates.flatMap(({ log }) => log.map(({ text }) => text));
  await eventually(
    'both lines',
    () => lines().some((one) => one.includes('red')) && lines().some((one) => one.includes('title')),
  );
  expect(lines().join('')).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
  expect(lines().join('')).toContain('\\u001b[31mred\\u202e');
});

test('32 clients, and no more', async () => {
  const [server, url] = await start();
  await using _ = server;
  const clients = await Promise.all(Array.from({ length: 32 }, () => follow(`${url}/live`)));
  expect(await ask(`${url}/live`)).toMatchObject({ status: 503, text: 'too many clients; try again\n' });
  expect((await ask(`${url}/status`)).status).toBe(200);
  clients[0]?.response.destroy();
  await eventually('a place', async () => {
    const { response } = await follow(`${url}/live`).catch(() => ({ response: undefined }));
    return response !== undefined;
  });
});

test('a stop ends the streams', async () => {
  const [server, url] = await start();
  const { response } = await follow(`${url}/live`);
  await server.stop();
  await eventually('its end', () => response.complete);
});

test('the history goes on in the successor of an upgrade', async () => {
  const [server, url] = await start(['--probation', '0', '--control', path.join(folder, 'h')]);
  await using _ = server;
  const before = await follow(`${url}/live`);
  using wire = await connect(server.url);
  for (let i = 0; i < 50; i++) await wire.ask(`GET /${i}`);
  process.kill(server.workers()[0] as number, 'SIGKILL');
  const all = (updates: readonly LiveUpdate[]) => ({
    points: updates.flatMap(({ points }) => points),
    events: updates.flatMap(({ events }) => events),
    log: updates.flatMap(({ log }) => log),
  });
  await eventually('all of it', () => {
    const { points, events, log } = all(before.updates);
    const isCounted = points.some(({ requests }) => requests > 0);
    return isCounted && events.some(({ kind }) => kind === 'exit') && log.some(({ text }) => text.includes('SIGKILL'));
  });
  const known = all(before.updates);
  server.child.kill('SIGUSR2');
  const { pid } = await server.waitFor('the upgrade', ({ event }) => event === 'upgraded');
  try {
    await eventually('the old server to end its streams', () => before.response.complete);
    const after = await follow(`${url}/live`);
    const [first] = after.updates;
    expect(first?.status.pid).toBe(pid);
    for (const key of ['points', 'events', 'log'] as const)
      expect(first?.[key].slice(0, known[key].length)).toEqual(known[key]);
    expect(first?.events).toContainEqual(
      expect.objectContaining({ kind: 'upgrade', text: expect.stringMatching(`^process ${pid} has taken over`) }),
    );
    // No point counts once more what the old server has counted before; each is of about a second.
    const sum = first?.points.reduce((all, { requests }) => all + requests, 0);
    expect(sum).toBeGreaterThan(40);
    expect(sum).toBeLessThan(75);
  } finally {
    process.kill(Number(pid), 'SIGTERM');
    await server.noneLeft();
  }
});

test('without a token a client may only read', async () => {
  const [server, url] = await start();
  await using _ = server;
  for (const action of ['reload', 'scale', 'switch'])
    expect(await ask(`${url}/${action}`, json, 'POST', '{}')).toMatchObject({
      status: 403,
      text: expect.stringContaining('--admin-token-file'),
    });
  expect(await ask(`${url}/live`, { 'sec-fetch-site': 'cross-site' })).toMatchObject({ status: 403 });
  expect(await ask(`${url}/live`, { host: 'evil.example' })).toMatchObject({ status: 403 });
  expect(await ask(`${url}/live`, {}, 'POST')).toMatchObject({ status: 405, headers: { allow: 'GET' } });
  expect(server.lines.filter(({ event }) => event === 'reloading')).toEqual([]);
});

describe('with a token', () => {
  test('the stream and the actions need it', async () => {
    const [server, url] = await start([...withToken, '--probation', '0']);
    await using _ = server;
    expect(await ask(`${url}/live`)).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer' } });
    expect(await ask(`${url}/live`, { authorization: 'Bearer wrong' })).toMatchObject({ status: 401 });
    expect(await ask(`${url}/reload`, json, 'POST')).toMatchObject({ status: 401 });
    const { updates } = await follow(`${url}/live`, { authorization });
    expect(updates[0]?.mayAct).toBe(true);

    const post = (action: string, body: unknown, headers: Headers = json) =>
      ask(`${url}/${action}`, { authorization, ...headers }, 'POST', JSON.stringify(body));
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp'])
      expect(await post('reload', {}, { 'content-type': type })).toMatchObject({ status: 403 });
    expect(await post('reload', {}, { ...json, 'sec-fetch-site': 'same-site' })).toMatchObject({ status: 403 });
    expect(await post('drain', {})).toMatchObject({ status: 405 });
    expect(await post('stop', {})).toMatchObject({ status: 405 });
    expect(await ask(`${url}/reload`, { authorization })).toMatchObject({ status: 405, headers: { allow: 'POST' } });
    expect(await ask(`${url}/reload`, { authorization }, 'OPTIONS')).toMatchObject({ status: 405 });
    expect(server.lines.filter(({ event }) => event === 'reloading')).toEqual([]);

    const stream = { ...json, accept: 'application/x-ndjson' };
    const { status, text } = await post('reload', {}, stream);
    expect(status).toBe(200);
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toEqual([
      { progress: '1 of 1 workers replaced' },
      { ok: true, message: expect.stringContaining('generation 2') },
    ]);
    expect(await post('scale', { workers: '0' })).toMatchObject({ status: 409 });
    expect(await post('scale', { workers: '+1' })).toMatchObject({ status: 200 });
    expect(await post('switch', { options: { model: 'nothing' } })).toMatchObject({ status: 409 });
    expect(await post('switch', 'x'.repeat(5000))).toMatchObject({ status: 400 });
    await server.waitFor('the reload', ({ event, reason }) => event === 'reloading' && reason === 'dashboard reload');
    await server.waitFor('the scale', ({ event, reason }) => event === 'scaled' && reason === 'dashboard scale');
    const kinds = () => updates.flatMap(({ events }) => events.map(({ kind }) => kind));
    await eventually('the events', () => ['reload', 'scale'].every((kind) => kinds().includes(kind as 'reload')));
  });
});

test('on a Unix socket, which only its owner can open, a client may act', async () => {
  const socket = path.join(folder, 'admin.sock');
  const server = await startServer({ args: ['--admin', `unix:${socket}`, '--workers', '1', '--probation', '0'] });
  await using _ = server;
  await server.waitFor('the admin server', ({ event }) => event === 'admin-ready');
  expect(await ask(`${socket}#/scale`, { ...json, host: 'localhost' }, 'POST', '{"workers":"2"}')).toMatchObject({
    status: 200,
    text: expect.stringContaining('changed from 1 to 2 workers'),
  });
});
