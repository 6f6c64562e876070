// What stays in the memory of static files, and that it is bounded.
import { expect, test } from 'vitest';
import { Memory } from '../../src/static/memory.ts';

const kept = (weight: number) => ({ weight, wasUsed: false });

test('never has more bytes than its size', () => {
  const memory = new Memory<{ weight: number; wasUsed: boolean }>(1000);
  for (let i = 0; i < 500; i++) {
    memory.set(`${i % 70}`, kept((i * 37) % 300));
    memory.get(`${(i * 3) % 70}`);
    expect(memory.bytes).toBeLessThanOrEqual(1000);
    expect(memory.bytes).toBeGreaterThanOrEqual(0);
  }
});

test('what was used stays when others have to go', () => {
  const memory = new Memory<{ weight: number; wasUsed: boolean }>(100);
  for (const key of ['a', 'b', 'c', 'd']) memory.set(key, kept(25));
  memory.get('a');
  memory.set('e', kept(25));
  expect(['a', 'b', 'c', 'd', 'e'].filter((key) => memory.get(key))).toEqual(['a', 'c', 'd', 'e']);
});

test('what is larger than the memory is not kept, nor its predecessor', () => {
  const memory = new Memory<{ weight: number; wasUsed: boolean }>(100);
  memory.set('a', kept(50));
  memory.set('a', kept(101));
  expect([memory.get('a'), memory.bytes]).toEqual([undefined, 0]);
});

test('an entry that has grown counts with its new weight, and once', () => {
  const memory = new Memory<{ weight: number; wasUsed: boolean }>(100);
  const one = kept(30);
  memory.set('a', one);
  one.weight = 90;
  memory.set('b', kept(10));
  memory.set('a', one);
  expect(memory.bytes).toBe(100);
  memory.delete('a');
  memory.delete('a');
  expect(memory.bytes).toBe(10);
});
