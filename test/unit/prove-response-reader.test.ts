// The reader of responses that a proof's clients use: what it takes, whichever way it is cut into pieces, and what it
// does not.
import { describe, expect, test } from 'vitest';
import { type Answer, AnswerReader } from '../../src/prove/response-reader.ts';

const head = (status: number, ...fields: string[]) => ['HTTP/1.1', `${status} OK`].join(' ') + lines(fields);
const lines = (fields: readonly string[]) => `\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;

const whole: readonly (readonly [string, string, Answer])[] = [
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
  ['204, which has no body', head(204), { status: 204, closes: false, length: 0 }],
  ['304, whose length is that of another', head(304, 'content-length: 5'), { status: 304, closes: false, length: 0 }],
  [
    'interim responses before it',
    `${head(100)}${head(103, 'link: </a>')}${head(201, 'content-length: 1')}x`,
    { status: 201, closes: false, length: 1 },
  ],
  [
    'an announced end',
    head(404, 'connection: keep-alive, Close', 'content-length: 0'),
    { status: 404, closes: true, length: 0 },
  ],
];

describe('a response with', () => {
  test.each(whole)('%s is read in one piece', (_, text, answer) => {
    expect(new AnswerReader().push(Buffer.from(text))).toEqual(answer);
  });

  test.each(whole)('%s is read byte by byte', (_, text, answer) => {
    const reader = new AnswerReader();
    expect(reader.hasBegun).toBe(false);
    const answers = [...text].map((byte) => reader.push(Buffer.from(byte)));
    expect(answers.pop()).toEqual(answer);
    expect(answers.every((one) => one === undefined)).toBe(true);
    expect(reader.hasBegun).toBe(true);
  });

  test.each(whole)('%s is cut when it ends a byte too early', (_, text) => {
    const reader = new AnswerReader();
    reader.push(Buffer.from(text.slice(0, -1)));
    expect(() => reader.end()).toThrow('the answer was cut');
  });
});

test('a response without a length goes to the end of the connection', () => {
  const reader = new AnswerReader();
  expect(reader.push(Buffer.from(`${head(200)}hello`))).toBeUndefined();
  expect(reader.push(Buffer.from(' world'))).toBeUndefined();
  expect(reader.end()).toEqual({ status: 200, closes: true, length: 11 });
});

test('an end before any byte is no answer', () => {
  expect(() => new AnswerReader().end()).toThrow('closed before an answer');
});

test.each([
  ['no response', 'hello\r\n\r\n', 'is no status line'],
  ['an older version', 'HTTP/1.0 200 OK\r\n\r\n', 'is no status line'],
  ['a blank in the name of a header', head(200, 'content length: 5'), 'is no header'],
  ['a folded header', head(200, 'x-a: b', ' c'), 'is no header'],
  ['two lengths', head(200, 'content-length: 5', 'content-length: 6'), 'its length is "5, 6"'],
  ['a negative length', head(200, 'content-length: -1'), 'its length is "-1"'],
  ['a length and chunks', head(200, 'content-length: 5', 'transfer-encoding: chunked'), 'has a length and is chunked'],
  ['an unknown coding', head(200, 'transfer-encoding: gzip'), 'unknown coding gzip'],
  ['a chunk without a size', `${head(200, 'transfer-encoding: chunked')}x\r\n`, 'is no size of a chunk'],
  ['a chunk that goes on', `${head(200, 'transfer-encoding: chunked')}1\r\nabc\r\n`, 'longer than it said'],
  ['more than the answer', `${head(200, 'content-length: 1')}xHTTP`, 'more came than the answer'],
  ['another protocol', head(101, 'upgrade: x'), 'the protocol was switched'],
])('%s is an error', (_, text, message) => {
  expect(() => new AnswerReader().push(Buffer.from(text))).toThrow(message);
});
