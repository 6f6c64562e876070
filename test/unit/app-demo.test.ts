// The routes of the demo app and the limits of their parameters.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadApp } from '../../src/app/load.ts';
import { connect } from '../helpers/wire.ts';
import { type ServedApp, serveApp } from './served-app.ts';

let served: ServedApp;
beforeAll(async () => {
  const app = await loadApp({ target: undefined, addresses: [], demoFaults: false, timeout: 1000 });
  expect(app.kind).toBe('demo');
  served = await serveApp(app);
});
afterAll(() => served[Symbol.asyncDispose]());

test('/ answers 13 bytes of text', async () => {
  const response = await fetch(served.url);
  expect(await response.text()).toBe('Hello, World!');
  expect(response.headers.get('content-length')).toBe('13');
  expect(response.headers.get('content-type')).toBe('text/plain');
});

test('/ answers a browser with a page that lists the routes', async () => {
  const response = await fetch(served.url, { headers: { accept: 'text/html,*/*' } });
  const page = await response.text();
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
  for (const route of ['/cpu?ms=50', '/wait', '/bytes', '/echo', '/stream', '/crash', '/hang'])
    expect(page).toContain(route);
});

test('/cpu computes and /wait waits for the given time', async () => {
  for (const [route, text] of [
    ['/cpu?ms=30', 'busy for 30 ms\n'],
    ['/wait?ms=30', 'waited 30 ms\n'],
  ]) {
    const began = performance.now();
    expect(await (await fetch(served.url + route)).text()).toBe(text);
    expect(performance.now() - began).toBeGreaterThan(28);
  }
});

test.each([0, 1, 65_536, 65_537, 3_000_000])('/bytes?n=%i answers a body of that length', async (n) => {
  const response = await fetch(`${served.url}/bytes?n=${n}`);
  expect(response.headers.get('content-length')).toBe(String(n));
  expect((await response.arrayBuffer()).byteLength).toBe(n);
});

test('/bytes answers HEAD with the content-length and no body', async () => {
  using client = await connect(served.url);
  expect((await client.ask('HEAD /bytes?n=1000000000')).headers['content-length']).toBe('1000000000');
  expect((await client.ask('GET /')).body).toBe('Hello, World!');
});

test('/echo returns the body and its content-type', async () => {
  const body = 'abc'.repeat(200_000);
  const response = await fetch(`${served.url}/echo`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'text/x-abc' },
  });
  expect(response.headers.get('content-type')).toBe('text/x-abc');
  expect(response.headers.get('content-length')).toBe('600000');
  expect(await response.text()).toBe(body);
});

test('/stream sends chunks', async () => {
  expect(await (await fetch(`${served.url}/stream?n=3&ms=1`)).text()).toBe(
    'chunk 1 of 3\nchunk 2 of 3\nchunk 3 of 3\n',
  );
});

test.each(['/crash', '/hang'])('%s needs --demo-faults', async (route) => {
  const response = await fetch(served.url + route);
  expect(response.status).toBe(404);
  expect(await response.text()).toContain('--demo-faults');
});

test.each([
  ['/nothing', 404],
  ['/cpu?ms=10001', 400],
  ['/cpu?ms=-1', 400],
  ['/wait?ms=60001', 400],
  ['/wait?ms=soon', 400],
  ['/bytes?n=1e3', 400],
  ['/bytes?n=', 400],
])('%s is answered with %i', async (route, status) => {
  expect((await fetch(served.url + route)).status).toBe(status);
});
