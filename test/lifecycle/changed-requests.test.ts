// An app may change the method and the URL of a request: the log has those that the client sent.
import { expect, test } from 'vitest';
import { within } from '../helpers/eventually.ts';
import { fixture, type Server, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

const forged = 'GET","status":500,"forged":"x';
const start = (...args: string[]) =>
  startServer({ app: fixture('changes-requests.cjs'), args: ['--workers', '1', '--access-log', '-', ...args] });

const lineOf = (server: Server, event: string, url: string) =>
  server.waitFor(`${event} of ${url}`, (line) => line.event === event && line.url === url);

test.concurrent('access lines and errors', async () => {
  await using server = await start();
  using wire = await connect(server.url);
  expect((await wire.ask('POST /api/users?x=1', { 'x-method': forged })).body).toBe('answered');
  const line = await lineOf(server, 'request', '/api/users?x=1');
  expect(line).toMatchObject({ method: 'POST', status: 200 });
  expect(line).not.toHaveProperty('forged');
  expect((await wire.ask('GET /api/throws')).status).toBe(500);
  expect(await lineOf(server, 'request-failed', '/api/throws')).toMatchObject({ method: 'GET' });
  await wire.ask('GET /api/upgrades', { connection: 'upgrade', upgrade: 'other' });
  expect(await lineOf(server, 'request', '/api/upgrades')).toMatchObject({ method: 'GET', status: 101 });
});

test.concurrent('an access line that is too long for an atomic write', async () => {
  await using server = await start();
  using wire = await connect(server.url);
  await wire.ask(`GET /${'x'.repeat(5000)}`, { 'x-method': `"${'y'.repeat(5000)}` });
  const line = await server.waitFor('a line', ({ event, truncated }) => event === 'request' && truncated === true);
  expect(line).toMatchObject({ method: 'GET', status: 200 });
});

test.concurrent('a request that is overdue', async () => {
  await using server = await start('--request-deadline', '200ms');
  using wire = await connect(server.url);
  expect((await wire.ask('GET /api/hangs', { 'x-method': forged })).status).toBe(504);
  expect(await lineOf(server, 'request-overdue', '/api/hangs')).toMatchObject({ method: 'GET' });
  expect(await lineOf(server, 'request', '/api/hangs')).toMatchObject({ method: 'GET', status: 504 });
});

test.concurrent('a request that is cut', async () => {
  await using server = await start('--graceful-timeout', '200ms');
  using wire = await connect(server.url);
  await wire.request('GET /api/hangs', { 'x-method': forged });
  await server.waitFor('it to be in the app', ({ seen }) => seen === 'hangs');
  server.child.kill('SIGTERM');
  await within('the server to exit', server.exit);
  expect(server.lines.filter(({ event }) => event === 'request-cut')).toMatchObject([
    { method: 'GET', url: '/api/hangs' },
  ]);
});
