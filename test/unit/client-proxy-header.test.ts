// The PROXY protocol: what a proxy says of a client before the first byte of HTTP.
import { describe, expect, test } from 'vitest';
import { maxHeaderBytes, type ProxyHeader, readProxyHeader } from '../../src/client/proxy-header.ts';
import { newSeed, randomOf } from '../helpers/seeds.js';

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

/** @param payload addresses and TLVs */
function binary(command: number, family: number, payload: Buffer): Buffer {
  const fixed = Buffer.alloc(4);
  fixed[0] = 0x20 | command;
  fixed[1] = family;
  fixed.writeUInt16BE(payload.length, 2);
  return Buffer.concat([signature, fixed, payload]);
}

const ipv4 = Buffer.from('cb007107 0a000001 a10a 01bb'.replaceAll(' ', ''), 'hex');
const ipv6 = Buffer.from(`20010db8${'0'.repeat(22)}07 ${'0'.repeat(30)}01 a10a 01bb`.replaceAll(' ', ''), 'hex');

const client = { host: '203.0.113.7', port: 41_226 };
const headers: readonly (readonly [name: string, bytes: Buffer, client: ProxyHeader['client']])[] = [
  ['TCP4', Buffer.from('PROXY TCP4 203.0.113.7 10.0.0.1 41226 443\r\n'), client],
  ['TCP6', Buffer.from('PROXY TCP6 2001:db8::7 ::1 41226 443\r\n'), { host: '2001:db8::7', port: 41_226 }],
  ['UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), undefined],
  [
    'the longest line, of 107 bytes',
    Buffer.from(`PROXY UNKNOWN ${Array(2).fill('ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff').join(' ')} 65535 65535\r\n`),
    undefined,
  ],
  ['binary, IPv4', binary(1, 0x11, ipv4), client],
  ['binary, IPv6', binary(1, 0x21, ipv6), { host: '2001:db8::7', port: 41_226 }],
  ['binary, with TLVs, of 536 bytes', binary(1, 0x11, Buffer.concat([ipv4, Buffer.alloc(536 - 28, 4)])), client],
  ['binary, LOCAL', binary(0, 0, Buffer.alloc(0)), undefined],
  ['binary, LOCAL, with an address to be ignored', binary(0, 0x11, ipv4), undefined],
  ['binary, of a Unix socket', binary(1, 0x31, Buffer.alloc(216)), undefined],
  ['binary, of an unknown family', binary(1, 0x00, Buffer.alloc(7)), undefined],
];

describe.each(headers)('%s', (name, bytes, client) => {
  test('is read', () => {
    const [, length] = /of (\d+) bytes/.exec(name) ?? [];
    if (length) expect(bytes).toHaveLength(Number(length));
    expect(readProxyHeader(bytes)).toEqual({ length: bytes.length, client });
  });

  test('is read with a request behind it', () => {
    const both = Buffer.concat([bytes, Buffer.from('GET / HTTP/1.1\r\n\r\n')]);
    expect(readProxyHeader(both)).toEqual({ length: bytes.length, client });
  });

  test('is partial at each byte before its end', () => {
    for (let end = 0; end < bytes.length; end++) expect(readProxyHeader(bytes.subarray(0, end))).toBe('partial');
  });
});

describe('malformed', () => {
  test.each([
    'GET / HTTP/1.1\r\n',
    'proxy TCP4 203.0.113.7 10.0.0.1 1 2\r\n',
    'PROXY  TCP4 203.0.113.7 10.0.0.1 1 2\r\n',
    'PROXY TCP4 203.0.113.7 10.0.0.1 1\r\n',
    'PROXY TCP4 203.0.113.7 10.0.0.1 1 2 3\r\n',
    'PROXY TCP4 203.0.113.7 10.0.0.1 1 65536\r\n',
    'PROXY TCP4 203.0.113.7 10.0.0.1 -1 2\r\n',
    'PROXY TCP4 203.0.113.7 10.0.0.1 01 2\r\n',
    'PROXY TCP4 2001:db8::7 ::1 1 2\r\n',
    'PROXY TCP6 203.0.113.7 10.0.0.1 1 2\r\n',
    'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n',
    'PROXY TCP4 203.0.113.7"x 10.0.0.1 1 2\r\n',
    'PROXY UDP4 203.0.113.7 10.0.0.1 1 2\r\n',
    'PROXY \r\n',
    `PROXY UNKNOWN ${'x'.repeat(200)}\r\n`,
    `PROXY UNKNOWN ${'x'.repeat(200)}`,
    '\r\n\r\nGET',
  ])('%j', (text) => expect(readProxyHeader(Buffer.from(text))).toBe('malformed'));

  test.each([
    ['version 1', Buffer.concat([signature, Buffer.from([0x11, 0x11, 0, 12]), ipv4])],
    ['an unknown command', binary(2, 0x11, ipv4)],
    ['an unknown family', binary(1, 0x41, ipv4)],
    ['an unknown transport', binary(1, 0x13, ipv4)],
    ['too short for its family', binary(1, 0x11, ipv4.subarray(0, 11))],
    ['too short for IPv6', binary(1, 0x21, ipv4)],
    ['longer than we read', binary(1, 0x11, Buffer.alloc(maxHeaderBytes))],
  ])('%s', (_, bytes) => expect(readProxyHeader(bytes)).toBe('malformed'));

  test('whatever the bytes are, they end in a header, in an error, or are too few', () => {
    const random = randomOf(newSeed('proxy header'));
    for (let i = 0; i < 20_000; i++) {
      const [, right] = random.pick(headers);
      const bytes = Buffer.concat([right, Buffer.from('GET / HTTP/1.1\r\n\r\n')]);
      for (let change = random.integer(1, 3); change > 0; change--)
        bytes[random.integer(0, right.length - 1)] = random.integer(0, 255);
      const read = readProxyHeader(bytes);
      if (typeof read === 'string') continue;
      expect(read.length).toBeLessThanOrEqual(maxHeaderBytes);
      if (read.client) expect(read.client.host).toMatch(/^[\d.a-f:]+$/i);
    }
  });
});
