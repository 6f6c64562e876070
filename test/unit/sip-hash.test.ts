import { expect, test } from 'vitest';
import { SipHash } from '../../src/rate-limit/sip-hash.ts';

const upTo = (count: number): Buffer => Buffer.from(Array.from({ length: count }, (_, i) => i));
const key = new Int32Array(new Uint8Array(upTo(16)).buffer);

// The paper's example (appendix A), and others of the reference implementation (vectors.h).
test.each([
  [0, '726fdb47dd0e0e31'],
  [1, '74f839c593dc67fd'],
  [2, '0d6c8009d9a94f5a'],
  [3, '85676696d7fb7e2d'],
  [8, '93f5f5799a932462'],
  [15, 'a129ca6149be45e5'],
])('%i bytes', (length, expected) => {
  const hash = new SipHash(key);
  hash.hash(upTo(length).toString('latin1'));
  expect([hash.high, hash.low].map((half) => half.toString(16).padStart(8, '0')).join('')).toBe(expected);
});

test('characters above 127 count as one byte', () => {
  const [one, other] = ['\u00ff', '\u007f'].map((text) => {
    const hash = new SipHash(key);
    hash.hash(text);
    return hash.low;
  });
  expect(one).not.toBe(other);
});
