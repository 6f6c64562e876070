// Static files: which paths exist, and that errors go to the pipeline as an HttpError.
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadApp } from '../../src/app/load.ts';
import { HttpError } from '../../src/errors.ts';
import { connect, type Response } from '../helpers/wire.ts';
import { type ServedApp, serveApp } from './served-app.ts';

let parent: string;
let served: ServedApp;
beforeAll(async () => {
  parent = await mkdtemp(path.join(os.tmpdir(), 'mpserve-directory-'));
  const root = path.join(parent, 'public');
  await mkdir(path.join(root, 'sub dir'), { recursive: true });
  await writeFile(path.join(root, 'index.html'), '<p>home</p>');
  await writeFile(path.join(root, 'digits.txt'), '0123456789');
  await writeFile(path.join(root, '.secret'), 'secret');
  await writeFile(path.join(root, 'sub dir', 'index.html'), '<p>sub</p>');
  await writeFile(path.join(parent, 'outside.txt'), 'outside');
  await symlink('../outside.txt', path.join(root, 'link.txt'));
  served = await serveApp(await loadApp({ target: root, addresses: [], demoFaults: false, timeout: 1000 }));
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await rm(parent, { recursive: true });
});

async function ask(line: string, headers: Record<string, string> = {}): Promise<Response> {
  using client = await connect(served.url);
  return await client.ask(line, headers);
}

test.each([
  ['GET /', 200, '<p>home</p>'],
  ['GET /?query=1', 200, '<p>home</p>'],
  ['GET /digits.txt', 200, '0123456789'],
  ['GET http://test/digits.txt', 200, '0123456789'],
  ['GET /sub%20dir/', 200, '<p>sub</p>'],
  ['GET /link.txt', 200, 'outside'],
  ['HEAD /digits.txt', 200, ''],
  ['GET /.secret', 404, ''],
  ['GET /nothing', 404, ''],
  ['GET /digits.txt/', 404, ''],
  ['GET /../outside.txt', 403, ''],
  ['GET /..%2foutside.txt', 403, ''],
  ['GET /sub%20dir/../../outside.txt', 403, ''],
  ['GET /%00', 400, ''],
  ['GET /%zz', 400, ''],
  ['GET nonsense', 400, ''],
])('%s is answered with %i', async (line, status, body) => {
  const response = await ask(line);
  expect(response).toMatchObject({ status, body });
  if (status >= 400) {
    const error = served.errors.at(-1);
    expect(error).toBeInstanceOf(HttpError);
    expect(error).toMatchObject({ status });
  }
});

test('HEAD answers the length of the file', async () => {
  expect((await ask('HEAD /digits.txt')).headers['content-length']).toBe('10');
});

test('a directory without a slash is redirected', async () => {
  expect(await ask('GET /sub%20dir')).toMatchObject({ status: 301, headers: { location: '/sub%20dir/' } });
});

test('a range request gets 206 and the range', async () => {
  expect(await ask('GET /digits.txt', { range: 'bytes=2-4' })).toMatchObject({
    status: 206,
    body: '234',
    headers: { 'content-range': 'bytes 2-4/10' },
  });
});

test('a range beyond the end gets 416 and the size of the file', async () => {
  const response = await ask('GET /digits.txt', { range: 'bytes=20-' });
  expect(response).toMatchObject({ status: 416, headers: { 'content-range': 'bytes */10' } });
  expect(response.headers.etag).toBeUndefined();
});

test('a matching etag gets 304', async () => {
  const { etag = '' } = (await ask('GET /digits.txt')).headers;
  expect((await ask('GET /digits.txt', { 'if-none-match': etag })).status).toBe(304);
});

test.each(['POST', 'DELETE', 'OPTIONS'])('%s is not allowed', async (method) => {
  expect(await ask(`${method} /`)).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
});
