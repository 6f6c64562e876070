// Stored responses as bytes: what comes back is the same, and what is damaged is nothing.
import { expect, test } from 'vitest';
import { pack, unpack } from '../../src/cache/packed-response.ts';
import { readHead } from '../../src/cache/response-head.ts';
import { type Body, StoredResponse } from '../../src/cache/stored-response.ts';

const text = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-latin: \u00e9\r\nvary: a, b\r\netag: "1"\r\n\r\n';
const freshness = {
  lifetime: 60,
  initialAge: 1.5,
  staleWhileRevalidate: 10,
  staleIfError: 0,
  needsValidation: false,
  forbidsStale: true,
  isForAuthorized: false,
};

const responseWith = (body: Body): StoredResponse =>
  new StoredResponse({
    head: readHead(text, 200, 'OK'),
    body,
    freshness,
    selecting: [
      ['a', ''],
      ['b', undefined],
    ],
    storedAt: 1000.25,
    requestedAt: 990,
  });

test.each([
  ['text', 'é\u0000 text'],
  ['no text', ''],
  ['bytes', Buffer.from([0, 255, 1, 2])],
])('a body that is %s comes back, with all else', (_, body) => {
  const response = responseWith(body);
  expect(unpack('key', pack('key', response))?.parts).toEqual(response.parts);
});

test('times are those of the clock of the store in between', () => {
  const packed = pack('key', responseWith(''), 5000);
  expect(unpack('key', packed)?.parts).toMatchObject({ storedAt: 6000.25, requestedAt: 5990 });
  expect(unpack('key', packed, 5000)?.parts).toMatchObject({ storedAt: 1000.25, requestedAt: 990 });
});

test('the response for another key is none', () => {
  expect(unpack('other', pack('key', responseWith('body')))).toBeUndefined();
});

test('what has lost an end, or has another byte anywhere, is none', () => {
  const packed = pack('key', responseWith('a body'));
  for (let at = 0; at < packed.length; at++) {
    expect(unpack('key', packed.subarray(0, at))).toBeUndefined();
    const damaged = Buffer.from(packed);
    damaged.writeUInt8(packed.readUInt8(at) ^ 1, at);
    expect(unpack('key', damaged)).toBeUndefined();
  }
  expect(unpack('key', Buffer.concat([packed, Buffer.alloc(1)]))).toBeUndefined();
});
