// Which content codings a client prefers to none (RFC 9110, section 12.5.3).
import { expect, test } from 'vitest';
import { acceptedCodings } from '../../src/http/coding.ts';

test.each([
  [undefined, []],
  ['', []],
  ['gzip', ['gzip']],
  ['gzip, deflate, br, zstd', ['br', 'zstd', 'gzip']],
  ['gzip;q=0.8, br;q=0.1', ['gzip', 'br']],
  ['gzip;q=0', []],
  ['*', ['br', 'zstd', 'gzip']],
  ['*;q=0', []],
  ['gzip, *;q=0', ['gzip']],
  ['identity, gzip;q=0.9', []],
  ['identity;q=0.5, gzip', ['gzip']],
  ['identity;q=0', []],
  ['br;q=1.0;x=y', ['br']],
  ['x'.repeat(5000), []],
])('%j', (field, codings) => {
  expect(acceptedCodings(field)).toEqual(codings);
  expect(acceptedCodings(field)).toBe(acceptedCodings(field));
});

test('many different fields do not grow what is remembered, and equal lists stay one', () => {
  const list = acceptedCodings('br, gzip');
  for (let i = 0; i < 10_000; i++) expect(acceptedCodings(`br, gzip, x${i}`)).toBe(list);
});
