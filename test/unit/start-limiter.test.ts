// How many starts there are at the same time.
import { expect, test } from 'vitest';
import { StartLimiter } from '../../src/strategies/start-limiter.ts';

/** Asks for `count` turns. @returns the numbers of those that have had theirs, in order */
function ask(limiter: StartLimiter, count: number): number[] {
  const had: number[] = [];
  for (let i = 0; i < count; i++) void limiter.turn().then(() => had.push(i));
  return had;
}

const settled = () => new Promise((done) => setImmediate(done));

test('a crowd starts a few at a time, first come, first served', async () => {
  const limiter = new StartLimiter(1);
  const had = ask(limiter, 10);
  await settled();
  expect(had).toEqual([0, 1, 2, 3]);
  limiter.ended();
  limiter.ended();
  await settled();
  expect(had).toEqual([0, 1, 2, 3, 4, 5]);
});

test('where starts mostly wait for something else, more of them go on at once', async () => {
  const limiter = new StartLimiter(1);
  const had = ask(limiter, 1000);
  for (let i = 0; i < 40; i++) {
    await settled();
    limiter.ended(0.1);
  }
  await settled();
  const atOnce = had.length - 40;
  expect(atOnce).toBeGreaterThan(30);
  expect(atOnce).toBeLessThanOrEqual(40);
});

test('when it is closed all go on', async () => {
  const limiter = new StartLimiter(1);
  const had = ask(limiter, 10);
  limiter.close();
  await settled();
  expect(had).toHaveLength(10);
});
