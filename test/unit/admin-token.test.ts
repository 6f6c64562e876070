// The token of the admin server: how it is compared, and how many wrong ones are answered.
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { beforeEach, expect, test, vi } from 'vitest';
import { TokenCheck } from '../../src/admin/token.ts';

const token = '0123456789abcdef';
const ask = (check: TokenCheck, given: string) => check.refusal(`Bearer ${given}`, '192.0.2.1');

/** The lengths of what was compared. */
let compared: number[][];
/** Milliseconds. */
let now: number;
beforeEach(() => {
  compared = [];
  now = 0;
  vi.spyOn(process, 'hrtime').mockImplementation(() => [now / 1000, 0]);
  const { timingSafeEqual } = crypto;
  vi.spyOn(crypto, 'timingSafeEqual').mockImplementation((a, b) => {
    compared.push([a.byteLength, b.byteLength]);
    return timingSafeEqual(a, b);
  });
  syncBuiltinESMExports();
  return () => {
    vi.restoreAllMocks();
    syncBuiltinESMExports();
  };
});

test('each token is compared in a time that does not depend on it, whatever its length', () => {
  const check = new TokenCheck(token, () => {});
  expect(ask(check, token)).toBeUndefined();
  const wrong = ['0', token.slice(1), `${token}0`, 'x'.repeat(16), 'x'.repeat(8000), 'é'];
  for (const given of wrong) expect(ask(check, given)?.status).toBe(401);
  expect(compared).toEqual(Array.from({ length: 1 + wrong.length }, () => [32, 32]));
});

test.each([undefined, '', 'Bearer', 'Bearer ', `Basic ${token}`, token, `Bearer ${token} x`, `Bearer\t${token}`])(
  '%j is no token, and counts as no guess',
  (header) => {
    const addresses: string[] = [];
    const check = new TokenCheck(token, (address) => addresses.push(address));
    for (let i = 0; i < 100; i++) expect(check.refusal(header, '192.0.2.1')?.status).toBe(401);
    expect(addresses).toEqual([]);
  },
);

test('60 wrong tokens a minute are answered, and told; the right one always', () => {
  const addresses: string[] = [];
  const check = new TokenCheck(token, (address) => addresses.push(address));
  const guesses = () => Array.from({ length: 80 }, (_, i) => ask(check, `wrong${i}`)?.status);
  const expected = [...Array(60).fill(401), ...Array(20).fill(429)];
  expect(guesses()).toEqual(expected);
  expect(ask(check, token)).toBeUndefined();
  expect(addresses).toHaveLength(60);
  now += 60_001;
  expect(guesses()).toEqual(expected);
});
