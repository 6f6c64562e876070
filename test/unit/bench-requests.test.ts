// The file of --requests: valid and invalid content.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readRequests } from '../../src/bench/requests.ts';
import { ExitCode, StartupError } from '../../src/errors.ts';

let folder: string;
let file: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mpserve-requests-'));
  file = path.join(folder, 'requests.json');
});
afterAll(() => rmSync(folder, { recursive: true }));

function read(content: string): unknown {
  writeFileSync(file, content);
  return readRequests(file);
}

function refusal(of: () => unknown): StartupError {
  try {
    of();
  } catch (error) {
    expect(error).toBeInstanceOf(StartupError);
    return error as StartupError;
  }
  throw new Error('not refused');
}

test.each<[entry: object, request: object]>([
  [{ path: '/' }, { path: '/', method: 'GET', headers: {} }],
  [{ path: '/a%20b?c=d&e' }, { path: '/a%20b?c=d&e', method: 'GET', headers: {} }],
  [
    { path: '/', method: 'POST', headers: { 'X-Token': 'a b\tc', cookie: '' }, body: '{"ü": 1}' },
    { path: '/', method: 'POST', headers: { 'x-token': 'a b\tc', cookie: '' }, body: '{"ü": 1}' },
  ],
  [
    { path: '/', body: '' },
    { path: '/', method: 'GET', headers: {}, body: '' },
  ],
  [
    { path: '/', headers: { "!#$%&'*+.^_`|~-9": 'naïve' } },
    { path: '/', method: 'GET', headers: { "!#$%&'*+.^_`|~-9": 'naïve' } },
  ],
])('%j is read', (entry, request) => expect(read(JSON.stringify([entry]))).toEqual([request]));

test('requests keep their order', () => {
  const paths = ['/b', '/a', '/b'];
  expect(read(JSON.stringify(paths.map((one) => ({ path: one }))))).toMatchObject(paths.map((one) => ({ path: one })));
});

test.each(['', '[', '[{path: "/"}]', '[{"path": "/"}],'])('%j is not JSON', (content) => {
  expect(refusal(() => read(content))).toMatchObject({
    exitCode: ExitCode.config,
    message: expect.stringContaining(`--requests cannot read ${file}: `),
  });
});

test('a file that is not there is named, and so is a folder', () => {
  const absent = path.join(folder, 'absent.json');
  expect(refusal(() => readRequests(absent)).message).toMatch(`--requests cannot read ${absent}: ENOENT`);
  expect(refusal(() => readRequests(folder)).message).toMatch(`--requests cannot read ${folder}: EISDIR`);
});

test.each(['[]', '{}', '{"path": "/"}', 'null', '"/"', '1', 'true'])('%s is not an array of requests', (content) => {
  expect(refusal(() => read(content))).toMatchObject({
    exitCode: ExitCode.config,
    message: `--requests must name a JSON array of requests such as [{"path": "/"}]; ${file} has none`,
  });
});

const noPath = /^the path of .* must start with \/ and be percent-encoded/;
const noMethod = /^the method of .* must be in capitals, such as GET$/;
const noBody = /^the body of .* must be a string$/;
const noHeaders = /^the headers of .* must be an object of strings/;

test.each<[entry: unknown, why: RegExp]>([
  [null, /must be an object with a path$/],
  ['/', /must be an object with a path$/],
  [1, /must be an object with a path$/],
  [{ path: '/', url: '/' }, /has the unknown key 'url'; use path, method, headers, body$/],
  [{ path: '/', Method: 'GET' }, /has the unknown key 'Method'/],
  [{}, noPath],
  [[], noPath],
  [{ path: '' }, noPath],
  [{ path: 1 }, noPath],
  [{ path: null }, noPath],
  [{ path: 'a' }, noPath],
  [{ path: 'http://localhost/' }, noPath],
  [{ path: '/a b' }, noPath],
  [{ path: '/ HTTP/1.1\r\nx: y' }, noPath],
  [{ path: '/\n' }, noPath],
  [{ path: '/ü' }, noPath],
  [{ path: '/', method: '' }, noMethod],
  [{ path: '/', method: 'get' }, noMethod],
  [{ path: '/', method: 'GET /x' }, noMethod],
  [{ path: '/', method: 'GET\n' }, noMethod],
  [{ path: '/', method: null }, noMethod],
  [{ path: '/', body: null }, noBody],
  [{ path: '/', body: 1 }, noBody],
  [{ path: '/', body: { a: 1 } }, noBody],
  [{ path: '/', headers: null }, noHeaders],
  [{ path: '/', headers: 'accept: text/html' }, noHeaders],
  [{ path: '/', headers: [['accept', 'text/html']] }, noHeaders],
  [{ path: '/', headers: ['accept'] }, noHeaders],
  [{ path: '/', headers: { accept: 1 } }, noHeaders],
  [{ path: '/', headers: { accept: ['text/html'] } }, noHeaders],
  [{ path: '/', headers: { '': 'x' } }, noHeaders],
  [{ path: '/', headers: { 'a b': 'x' } }, noHeaders],
  [{ path: '/', headers: { 'a:': 'x' } }, noHeaders],
  [{ path: '/', headers: { ü: 'x' } }, noHeaders],
  [{ path: '/', headers: { 'a\n': 'x' } }, noHeaders],
  [{ path: '/', headers: { a: 'x\r\ny: z' } }, noHeaders],
  [{ path: '/', headers: { a: 'x\0' } }, noHeaders],
  [{ path: '/', headers: { a: '→' } }, noHeaders],
  [{ path: '/', headers: { a: 'x', b: 1 } }, noHeaders],
])('%j is not a request, and the error has its number', (entry, why) => {
  const { exitCode, message } = refusal(() => read(JSON.stringify([{ path: '/' }, entry])));
  expect(exitCode).toBe(ExitCode.config);
  expect(message).toContain(`request 2 in ${file}`);
  expect(message).toMatch(why);
});
