// Every supported kind of app, loaded from the build in a process and in a thread.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { eventually } from '../helpers/eventually.ts';
import { connect } from '../helpers/wire.ts';
import { host } from './hosted-app.ts';

const stripsTypes = Boolean((process.features as { typescript?: unknown }).typescript);

const apps: [fixture: string, kind: string, answer: string][] = [
  ['listen.cjs', 'server', 'listen'],
  ['listen-late.mjs', 'server', 'listen-late'],
  ['listener.cjs', 'listener', 'listener'],
  ['listener.mjs', 'listener', 'listener'],
  ['listener.mjs#admin', 'listener', 'admin'],
  ['listener', 'listener', 'listener'],
  ['express.cjs', 'listener', 'express'],
  ['koa.cjs', 'listener', 'koa'],
  ['fastify.mjs', 'fastify', 'fastify'],
  ['fastify-listen.mjs', 'server', 'fastify-listen'],
  ['hono.mjs', 'fetch', 'hono'],
  ['fetch.mjs', 'fetch', 'fetch'],
  ['server.cjs', 'server', 'server'],
  ['ws.cjs', 'server', 'ws'],
  ['ws-late.mjs', 'server', 'ws-late'],
  ['throws.cjs', 'listener', 'throws'],
  ['prints.cjs', 'listener', 'prints'],
];
if (stripsTypes) apps.push(['typescript.ts', 'listener', 'typescript']);

describe.each([
  ['a process', false],
  ['a thread', true],
])('in %s', (_, inThread) => {
  test.each(apps)('%s is a %s and answers', async (app, kind, answer) => {
    await using hosted = await host(app, { inThread });
    expect(hosted.report.kind).toBe(kind);
    const response = await fetch(hosted.url);
    expect(response.headers.get('content-type')).toMatch(/^text\/plain/);
    expect(await response.text()).toBe(answer);
  });
});

test('process.argv is the same as with node FILE', async () => {
  await using hosted = await host('listener.cjs');
  expect(hosted.report.argv).toEqual([expect.stringMatching(/listener\.cjs$/)]);
});

test('address() of an app that listens returns the address of mpserve', async () => {
  await using hosted = await host('listen.cjs');
  expect(hosted.report.told).toEqual({ address: '192.0.2.1', family: 'IPv4', port: 8080 });
  await eventually('its listen callback', () => hosted.output.includes('listening on 8080'));
});

test('address() of an app that listens returns the path of a Unix socket', async () => {
  await using hosted = await host('fastify-listen.mjs', { addresses: ['/run/app.sock'] });
  expect(hosted.report.told).toBe('/run/app.sock');
  expect(await (await fetch(hosted.url)).text()).toBe('fastify-listen');
});

test.each(['ws.cjs', 'ws-late.mjs'])('%s echoes over a WebSocket', async (app) => {
  await using hosted = await host(app);
  const socket = new WebSocket(hosted.url.replace('http', 'ws'));
  try {
    await once(socket, 'open');
    socket.send('to and fro');
    const [message] = await once(socket, 'message');
    expect(String(message)).toBe('to and fro');
  } finally {
    socket.terminate();
  }
});

test('handle() rejects with the error of an async listener', async () => {
  await using hosted = await host('throws.cjs');
  for (const [route, message] of [
    ['/sync', 'thrown on purpose'],
    ['/reject', 'rejected on purpose'],
  ]) {
    expect((await fetch(hosted.url + route)).status).toBe(500);
    await eventually('the report', () => hosted.reports.some(({ failed }) => failed === message));
  }
});

describe('a fetch handler', () => {
  test('streams bodies both ways', async () => {
    await using hosted = await host('fetch.mjs');
    const body = 'x'.repeat(1_000_000);
    const response = await fetch(`${hosted.url}/echo`, { method: 'POST', body });
    expect(await response.text()).toBe(body);
  });

  test.each([
    ['/throws', 'on purpose'],
    ['/nothing', 'the fetch handler returned undefined instead of a Response'],
  ])('that fails at %s rejects', async (route, message) => {
    await using hosted = await host('fetch.mjs');
    expect((await fetch(hosted.url + route)).status).toBe(500);
    await eventually('the report', () => hosted.reports.some(({ failed }) => failed === message));
  });

  test('whose body stream fails closes the connection and rejects', async () => {
    await using hosted = await host('fetch.mjs');
    const response = await fetch(`${hosted.url}/breaks`);
    await assert.rejects(response.text());
    await eventually('the report', () => hosted.reports.some(({ failed }) => failed === 'on purpose'));
    expect((await fetch(hosted.url)).status).toBe(200);
  });

  test('gets an abort signal when the client disconnects', async () => {
    await using hosted = await host('fetch.mjs');
    const client = await connect(hosted.url);
    await client.request('GET /aborted');
    client.close();
    await eventually('the abort', () => hosted.output.includes('aborted'));
  });

  test('gets no request with an invalid target', async () => {
    await using hosted = await host('fetch.mjs');
    using client = await connect(hosted.url);
    expect((await client.ask('GET nonsense')).status).toBe(400);
  });
});
