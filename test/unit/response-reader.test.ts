// The strict response reader of prove's clients: it reads valid responses in pieces of any size, and rejects invalid
// ones.
import { describe, expect, test } from 'vitest';
import { ResponseReader, type ResponseSummary } from '../../src/testbed/response-reader.ts';

const head = (status: number, ...fields: string[]) => ['HTTP/1.1', `${status} OK`].join(' ') + lines(fields);
const lines = (fields: readonly string[]) => `\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;

const valid: readonly (readonly [string, string, ResponseSummary])[] = [
  ['a length', `${head(200, 'content-length: 5')}hello`, { status: 200, closes: false, length: 5 }],
  ['a length of 0', head(200, 'Content-Length: 0'), { status: 200, closes: false, length: 0 }],
  [
    'chunks',
    `${head(200, 'transfer-encoding: chunked')}5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n`,
    { status: 200, closes: false, length: 6 },
  ],
  [
    'chunks and trailers',
    `${head(200, 'Transfer-Encoding: chunked')}a\r\n0123456789\r\n0\r\nx-a: b\r\n\r\n`,
    { status: 200, closes: false, length: 10 },
  ],
  ['status 204, which has no body', head(204), { status: 204, closes: false, length: 0 }],
  [
    'status 304, which has a length but no body',
    head(304, 'content-length: 5'),
    { status: 304, closes: false, length: 0 },
  ],
  [
    'interim responses before it',
    `${head(100)}${head(103, 'link: </a>')}${head(201, 'content-length: 1')}x`,
    { status: 201, closes: false, length: 1 },
  ],
  [
    '"connection: close"',
    head(404, 'connection: keep-alive, Close', 'content-length: 0'),
    { status: 404, closes: true, length: 0 },
  ],
];

describe('a response with', () => {
  test.each(valid)('%s is read in one piece', (_, text, response) => {
    expect(new ResponseReader().push(Buffer.from(text))).toEqual(response);
  });

  test.each(valid)('%s is read byte by byte', (_, text, response) => {
    const reader = new ResponseReader();
    expect(reader.hasStarted).toBe(false);
    const results = [...text].map((byte) => reader.push(Buffer.from(byte)));
    expect(results.pop()).toEqual(response);
    expect(results.every((one) => one === undefined)).toBe(true);
    expect(reader.hasStarted).toBe(true);
  });

  test.each(valid)('%s is truncated if the last byte is missing', (_, text) => {
    const reader = new ResponseReader();
    reader.push(Buffer.from(text.slice(0, -1)));
    expect(() => reader.end()).toThrow('response truncated');
  });
});

test('a response without a length ends when the connection closes', () => {
  const reader = new ResponseReader();
  expect(reader.push(Buffer.from(`${head(200)}hello`))).toBeUndefined();
  expect(reader.push(Buffer.from(' world'))).toBeUndefined();
  expect(reader.end()).toEqual({ status: 200, closes: true, length: 11 });
});

test('a connection that closes before the first byte is an error', () => {
  expect(() => new ResponseReader().end()).toThrow('connection closed before a response');
});

test.each([
  ['data that is not HTTP', 'hello\r\n\r\n', 'invalid status line "hello"'],
  ['an older HTTP version', 'HTTP/1.0 200 OK\r\n\r\n', 'invalid status line'],
  ['a space in a header name', head(200, 'content length: 5'), 'invalid header "content length: 5"'],
  ['a folded header', head(200, 'x-a: b', ' c'), 'invalid header'],
  ['two lengths', head(200, 'content-length: 5', 'content-length: 6'), 'invalid Content-Length "5, 6"'],
  ['a negative length', head(200, 'content-length: -1'), 'invalid Content-Length "-1"'],
  [
    'a length and chunks',
    head(200, 'content-length: 5', 'transfer-encoding: chunked'),
    'both Content-Length and Transfer-Encoding',
  ],
  ['an unknown coding', head(200, 'transfer-encoding: gzip'), 'unknown transfer coding gzip'],
  ['a chunk without a size', `${head(200, 'transfer-encoding: chunked')}x\r\n`, 'invalid chunk size'],
  [
    'a chunk longer than its size',
    `${head(200, 'transfer-encoding: chunked')}1\r\nabc\r\n`,
    'longer than its announced size',
  ],
  ['data after the response', `${head(200, 'content-length: 1')}xHTTP`, 'unexpected data after the response'],
  ['a protocol switch', head(101, 'upgrade: x'), 'unexpected status 101'],
])('%s is an error', (_, text, message) => {
  expect(() => new ResponseReader().push(Buffer.from(text))).toThrow(message);
});
