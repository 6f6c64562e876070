import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { now, sleepSync } from '../../src/clock.ts';
import { Blocks } from '../../src/pipeline/blocks.ts';

test('the longest block since a moment, the one that has just ended included', async () => {
  const blocks = new Blocks();
  blocks.start();
  const first = now();
  sleepSync(400);
  await pause(50);
  const second = now();
  sleepSync(150);
  expect(blocks.longestSince(first)).toBeGreaterThanOrEqual(360);
  expect(blocks.longestSince(second)).toBeGreaterThanOrEqual(110);
  await pause(50);
  expect(blocks.longestSince(second)).toBeGreaterThanOrEqual(110);
  expect(blocks.longestSince(first)).toBeGreaterThanOrEqual(360);
  blocks.stop();
  expect(blocks.longestSince(first)).toBe(0);
});
