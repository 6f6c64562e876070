// Where a session is named: in the first request of a connection, and in the response that begins it.
import { describe, expect, test } from 'vitest';
import {
  grantedCookie,
  grantedMember,
  requestedSession,
  sessionKey,
  sessionOfRequest,
} from '../../src/client/session.ts';
import { type NamedSessionRule, readSessionRule, writeSessionRule } from '../../src/client/session-rule.ts';

const cookie = { by: 'cookie', name: 'sid' } as const;
const query = { by: 'query', name: 'sid' } as const;
const header = { by: 'header', name: 'X-Session' } as const;
const asked = (head: string, rule: NamedSessionRule) => requestedSession(Buffer.from(head, 'latin1'), rule);
const withHeaders = (...lines: string[]) => `${['GET / HTTP/1.1', ...lines].join('\r\n')}\r\n\r\n`;

test.each(['ip', 'cookie:connect.sid', 'cookie:__Host-id', 'query:sid', 'header:X-Session'])(
  'the rule %s is read and written',
  (text) => {
    const rule = readSessionRule(text);
    expect(rule && writeSessionRule(rule)).toBe(text);
  },
);

test.each([
  '',
  'cookie',
  'cookie:',
  'cookie:a b',
  'cookie:a=b',
  'cookie:a;b',
  'query:a&b',
  'header:',
  'header:a b',
  'ip:4',
  'IP',
])('%j is no rule', (text) => expect(readSessionRule(text)).toBeUndefined());

test('keys have 64 bits, and differ', () => {
  const keys = new Set(Array.from({ length: 10_000 }, (_, i) => sessionKey(`session ${i}`)));
  expect(keys.size).toBe(10_000);
  for (const key of keys) expect(key).toMatch(/^[0-9a-f]{16}$/);
});

describe('a request names its session', () => {
  test.each([
    ['alone', withHeaders('Cookie: sid=abc')],
    ['among others', withHeaders('Host: a', 'Cookie: a=1; sid=abc; b=2', 'X: y')],
    ['in quotes, in a field of any case', withHeaders('cOOKIE:sid="abc"')],
    ['in a second field', withHeaders('Cookie: xsid=no', 'Cookie: sid=abc')],
    ['with line feeds alone', 'GET / HTTP/1.1\nCookie: sid=abc\n\n'],
    ['after an empty line', `\r\n${withHeaders('Cookie: sid=abc')}`],
    ['after empty lines', `\r\n\r\n\n${withHeaders('Cookie: sid=abc')}`],
  ])('in a cookie, %s', (_, head) => expect(asked(head, cookie)).toBe(sessionKey('abc')));

  test.each([
    ['alone', 'GET /?sid=abc HTTP/1.1\r\n'],
    ['among others', 'POST /socket.io/?EIO=4&transport=polling&sid=abc HTTP/1.1\r\n'],
    ['before a fragment', 'GET /?sid=abc#sid=no HTTP/1.1\r\n'],
    ['in an absolute target', 'GET http://a/b?c=d&sid=abc&sid=no HTTP/1.0\r\n'],
  ])('in the query, %s', (_, head) => expect(asked(head, query)).toBe(sessionKey('abc')));

  test.each([
    ['alone', withHeaders('X-Session: abc')],
    ['of any case, among others', withHeaders('Host: a', 'x-SESSION:\t abc  ', 'X: y')],
    ['the first one that is not empty', withHeaders('X-Session:', 'X-Session: abc', 'X-Session: no')],
  ])('in a header field, %s', (_, head) => expect(asked(head, header)).toBe(sessionKey('abc')));

  test('when it has been read, as before', () => {
    const of = (rule: NamedSessionRule, target: string, ...rawHeaders: string[]) =>
      sessionOfRequest(target, rawHeaders, rule);
    expect(of(cookie, '/', 'Host', 'a', 'cOOKIE', 'asid=no', 'Cookie', 'a=1; sid="abc"')).toBe(sessionKey('abc'));
    expect(of(query, '/?a=b&sid=abc')).toBe(sessionKey('abc'));
    expect(of(header, '/', 'x-session', ' ', 'X-SESSION', ' abc ')).toBe(sessionKey('abc'));
    expect(of(cookie, '/?sid=abc', 'sid', 'abc')).toBeUndefined();
    expect(of(query, '/', 'Cookie', 'sid=abc')).toBeUndefined();
    expect(of(header, '/', 'xx-session', 'abc')).toBeUndefined();
  });

  test('and until it has, more bytes are needed', () => {
    const heads = [
      [withHeaders('Host: a', 'Cookie: sid=abc'), cookie, 'GET / HTTP/1.1\r\nHost: a\r\nCookie: sid=abc\r\n'.length],
      ['GET /?sid=abc HTTP/1.1\r\nHost: a', query, 'GET /?sid=abc HTTP/1.1\n'.length],
    ] as const;
    for (const [head, rule, enough] of heads) {
      for (let length = 1; length < enough; length++) expect(asked(head.slice(0, length), rule)).toBe('partial');
      for (let length = enough + 1; length <= head.length; length++)
        expect(asked(head.slice(0, length), rule)).toBe(sessionKey('abc'));
    }
  });

  test.each([
    ['no cookie', withHeaders('Host: a')],
    ['another cookie', withHeaders('Cookie: asid=abc; sid2=abc; SID=abc')],
    ['an empty one', withHeaders('Cookie: sid=')],
    ['a header field of this name', withHeaders('sid: abc', 'x-cookie: sid=abc')],
    ['a cookie in the body', `${withHeaders('Host: a')}Cookie: sid=abc\r\n`],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n'],
    ['something else', 'what is this here?\r\n\r\n'],
    ['bytes', '\x00\x00'],
  ])('or does not: %s', (_, head) => expect(asked(head, cookie)).toBe('none'));

  test.each(['GET / HTTP/1.1\r\n', 'GET /sid=abc HTTP/1.1\r\n', 'GET /?sid=&asid=abc HTTP/1.1\r\n'])(
    'or does not: %j',
    (head) => expect(asked(head, query)).toBe('none'),
  );
});

describe('a response begins a session', () => {
  test('with a cookie', () => {
    const granted = (...fields: string[]) => grantedCookie(fields, 'sid');
    expect(granted('a=1', 'sid=abc; Path=/; HttpOnly')).toBe(sessionKey('abc'));
    expect(granted('sid="abc"')).toBe(sessionKey('abc'));
    expect(granted('sid=; Max-Age=0')).toBeUndefined();
    expect(granted('asid=abc; sid=no')).toBeUndefined();
    expect(granted()).toBeUndefined();
  });

  test('with a member of JSON', () => {
    expect(grantedMember('0{"sid":"lv_VI97-HAXpY6yYWAAAC","upgrades":["websocket"]}', 'sid')).toBe(
      sessionKey('lv_VI97-HAXpY6yYWAAAC'),
    );
    for (const body of ['{"asid":"abc"}', '{"sid":1}', '{"sid":"a b"}', '{"sid":"', ''])
      expect(grantedMember(body, 'sid')).toBeUndefined();
  });
});
