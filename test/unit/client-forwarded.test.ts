// Who the client is, by what proxies say of it.
import { describe, expect, test } from 'vitest';
import { clientOf } from '../../src/client/forwarded.ts';
import { isNetwork, Networks } from '../../src/client/networks.ts';
import { nameOf } from '../../src/client/peer.ts';
import { newSeed, randomOf } from '../helpers/seeds.js';

const trusted = new Networks(['loopback', '10.0.0.0/8', '2001:db8:1::/48']);
const proxy = { host: '127.0.0.1' };
const by = (list: string, host = proxy.host) => nameOf(clientOf({ 'x-forwarded-for': list }, { host }, trusted));
const byForwarded = (forwarded: string) => nameOf(clientOf({ forwarded }, proxy, trusted));

describe('X-Forwarded-For', () => {
  test.each([
    ['203.0.113.7', '203.0.113.7'],
    ['203.0.113.7, 10.0.0.1', '203.0.113.7'],
    ['203.0.113.7,10.0.0.1 , 10.0.0.2', '203.0.113.7'],
    ['203.0.113.7:41234', '203.0.113.7'],
    ['2001:db8::7', '2001:db8::7'],
    ['[2001:db8::7]', '2001:db8::7'],
    ['[2001:db8::7]:41234, 2001:db8:1::1', '2001:db8::7'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['::ffff:203.0.113.7, ::ffff:10.0.0.1', '::ffff:203.0.113.7'],
    ['10.0.0.2, 10.0.0.1', '10.0.0.2'],
  ])('%s names %s', (list, client) => expect(by(list)).toBe(client));

  test('says nothing where the peer is not trusted', () => {
    expect(by('203.0.113.7', '198.51.100.1')).toBe('198.51.100.1');
    expect(by('127.0.0.1', '198.51.100.1')).toBe('198.51.100.1');
  });

  test('counts from a client of a Unix socket, as from one on this machine', () => {
    expect(clientOf({ 'x-forwarded-for': '203.0.113.7' }, 'unix', trusted)).toEqual({ host: '203.0.113.7' });
    expect(clientOf({}, 'unix', trusted)).toBe('unix');
    expect(clientOf({ 'x-forwarded-for': '203.0.113.7' }, 'unix', new Networks(['10.0.0.0/8']))).toBe('unix');
  });

  test('says nothing where the peer is not known', () => {
    const all = new Networks(['loopback', 'private', '0.0.0.0/0', '::/0']);
    expect(clientOf({ 'x-forwarded-for': '203.0.113.7' }, 'unknown', all)).toBe('unknown');
    expect(clientOf({}, 'unknown', all)).toBe('unknown');
  });

  test('what a client has sent itself does not count', () => {
    expect(by('127.0.0.1, 10.0.0.9, 203.0.113.7')).toBe('203.0.113.7');
    expect(by('8.8.8.8, 203.0.113.7, 10.0.0.1')).toBe('203.0.113.7');
  });

  test.each([
    '',
    ',',
    'unknown',
    '_hidden',
    '1.2.3',
    '999.1.1.1',
    '<script>',
    '1.2.3.4.5:80',
    '[::1',
    '::1]',
    '"::1"',
    '::1%"',
    'fe80::1%<b>',
  ])('what is no address (%s) names the proxy that has sent it', (text) => {
    expect(by(text)).toBe('127.0.0.1');
    expect(by(`203.0.113.7, ${text}, 10.0.0.1`)).toBe('10.0.0.1');
  });

  test('a list of 1,000 entries is read from its end, and not beyond what is trusted', () => {
    const many = Array.from({ length: 1000 }, (_, i) => `198.51.${i >> 8}.${i & 0xff}`).join(', ');
    expect(by(`${many}, 10.0.0.1`)).toBe('198.51.3.231');
    const proxies = Array.from({ length: 1000 }, (_, i) => `10.0.${i >> 8}.${i & 0xff}`);
    expect(by(['203.0.113.7', ...proxies].join())).toBe('10.0.3.168'); // no chain has so many
    expect(by('9'.repeat(16_000))).toBe('127.0.0.1');
  });

  test('whatever is in it, what comes out is an address', () => {
    const random = randomOf(newSeed('forwarded'));
    const parts = [
      '10.0.0.1',
      '203.0.113.7',
      '[::1]:80',
      ',',
      ' ',
      ';',
      'for=',
      '"',
      '\\',
      '%',
      '\u0000',
      '\x1b[31m',
      '::',
      '/',
    ];
    for (let i = 0; i < 20_000; i++) {
      const text = Array.from({ length: random.integer(0, 12) }, () => random.pick(parts)).join('');
      for (const headers of [{ 'x-forwarded-for': text }, { forwarded: text }]) {
        expect(nameOf(clientOf(headers, proxy, trusted))).toMatch(/^[\d.a-f:]+(%[\w.-]+)?$/i);
      }
    }
  });
});

describe('Forwarded', () => {
  test.each([
    ['for=203.0.113.7', '203.0.113.7'],
    ['For="203.0.113.7:41234";proto=https;by=10.0.0.1', '203.0.113.7'],
    ['proto=https; for="[2001:db8::7]:41234"', '2001:db8::7'],
    ['for=203.0.113.7, for=10.0.0.1', '203.0.113.7'],
    ['for=8.8.8.8, for="203.0.113.7"', '203.0.113.7'],
    ['for=unknown', '127.0.0.1'],
    ['for=_secret, for=10.0.0.1', '10.0.0.1'],
    ['by=203.0.113.7', '127.0.0.1'],
    ['for="203.0.113.7', '127.0.0.1'],
    ['xfor=203.0.113.7', '127.0.0.1'],
    ['; for="203\\.0.113.7" ;', '203.0.113.7'],
    ['', '127.0.0.1'],
    ['for=203.0.113.7,', '127.0.0.1'],
  ])('%s names %s', (text, client) => expect(byForwarded(text)).toBe(client));

  // The client has chosen its host so.
  test.each([
    'for=203.0.113.7;host="a,for=6.6.6.6;x"',
    'for=203.0.113.7;host="a, for=6.6.6.6, b"',
    'host="a;for=6.6.6.6;b";for=203.0.113.7',
    'host="for=6.6.6.6";for=203.0.113.7',
    'for=203.0.113.7;host="\\",for=6.6.6.6;x=\\""',
    'host="\\";for=6.6.6.6;x=\\"";for=203.0.113.7',
    'for=203.0.113.7;host="a\\\\", for=10.0.0.1;host=",for=6.6.6.6;x"',
  ])('%s names none in quotes', (text) => expect(byForwarded(text)).toBe('203.0.113.7'));

  test.each(['for="', 'for="x', 'for=\\"', 'for="6.6.6.6\\', '"', 'host="a", for=6.6.6.6;x="'])(
    'what a client has sent itself (%s) does not count, whatever quotes it has',
    (sent) => {
      for (const added of ['for=203.0.113.7', 'host="a";for="203.0.113.7:80"', 'for=203.0.113.7, for="10.0.0.1"'])
        expect(byForwarded(`${sent}, ${added}`)).toBe('203.0.113.7');
    },
  );

  test.each([
    'for=203.0.113.7;host="a',
    'for=203.0.113.7;host="a"b',
    'for=203.0.113.7;host="a,for=6.6.6.6\\"',
    'for=203.0.113.7;host=a"b"',
    'for=203.0.113.7;host="a", for=6.6.6.6"',
    'for=203.0.113.7;host',
    'for=203.0.113.7;host=',
    'for=203.0.113.7 host=a',
    'for = 203.0.113.7',
    'for=203.0.113.7;for=6.6.6.6',
    'for=203.0.113.7;FOR="6.6.6.6"',
    `for=203.0.113.7;host="${'a'.repeat(16_000)}"`,
    '\\"'.repeat(8000),
  ])('what is malformed (%s) names the proxy that has sent it', (text) => {
    expect(byForwarded(text)).toBe('127.0.0.1');
    expect(byForwarded(`${text}, for=10.0.0.1`)).toBe('10.0.0.1');
  });

  test('counts only without X-Forwarded-For: a proxy that writes one of them passes the other one on', () => {
    const headers = { forwarded: 'for=8.8.8.8', 'x-forwarded-for': '203.0.113.7' };
    expect(clientOf(headers, proxy, trusted)).toEqual({ host: '203.0.113.7' });
  });
});

describe('networks', () => {
  test.each([
    ['loopback', '127.8.8.8', '128.0.0.1'],
    ['loopback', '::1', '::2'],
    ['loopback', '::ffff:127.0.0.1', '::ffff:128.0.0.1'],
    ['private', '172.31.255.255', '172.32.0.0'],
    ['private', '192.168.1.1', '192.169.1.1'],
    ['private', 'fd12::1', 'fe00::1'],
    ['private', 'fe80::1%eth0', '2001:db8::1'],
    ['198.51.100.0/25', '198.51.100.127', '198.51.100.128'],
    ['2001:db8::/33', '2001:db8:7fff::1', '2001:db8:8000::1'],
    ['203.0.113.7', '203.0.113.7', '203.0.113.8'],
    ['0.0.0.0/0', '8.8.8.8', '::1'],
  ])('%s has %s and not %s', (network, inside, outside) => {
    expect(isNetwork(network)).toBe(true);
    expect(new Networks([network]).has({ host: inside })).toBe(true);
    expect(new Networks([network]).has({ host: outside })).toBe(false);
  });

  test.each([
    '',
    'all',
    '10.0.0.0/33',
    '::1/129',
    '10.0.0/8',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    'fe80::1%eth0',
    '/8',
    '1.2.3.4/-1',
  ])('there is none that is called %s', (text) => expect(isNetwork(text)).toBe(false));
});
