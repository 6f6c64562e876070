// The token of the admin server: how it is compared, and how many wrong ones are answered.
import { beforeEach, expect, test, vi } from 'vitest';

const { compared, time } = vi.hoisted(() => ({ compared: [] as number[][], time: { now: 0 } }));
vi.mock('../../src/clock.ts', async (original) => ({ ...(await original<object>()), now: () => time.now }));
vi.mock('node:crypto', async (original) => {
  const crypto = await original<typeof import('node:crypto')>();
  const timingSafeEqual: typeof crypto.timingSafeEqual = (a, b) => {
    compared.push([a.byteLength, b.byteLength]);
    return crypto.timingSafeEqual(a, b);
  };
  return { ...crypto, timingSafeEqual };
});

const { TokenCheck } = await import('../../src/admin/token.ts');
const token = '0123456789abcdef';
const ask = (check: InstanceType<typeof TokenCheck>, given: string) => check.refusal(`Bearer ${given}`, '192.0.2.1');

beforeEach(() => {
  compared.length = 0;
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
  time.now += 60_001;
  expect(guesses()).toEqual(expected);
});
