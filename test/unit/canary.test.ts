// What --canary takes for worse, and what for chance.
import { expect, test } from 'vitest';
import { Events } from '../../src/events.ts';
import { Reports } from '../../src/reports/reports.ts';
import { ResponseStats } from '../../src/scaling/response-stats.ts';
import { FailedTrial } from '../../src/strategies/trial.ts';
import { Canary } from '../../src/supervisor/canary.ts';

const [oldPid, newPid] = [1, 2];

interface Answers {
  readonly count: number;
  /** How long each takes (milliseconds). */
  readonly ms?: number;
  readonly failed?: number;
}

/** @param answers of a generation: all of them */
function statsOf(answers: readonly Answers[]): ResponseStats {
  const stats = new ResponseStats();
  for (const { count, ms = 2, failed = 0 } of answers)
    for (let i = 0; i < count; i++) stats.add(i < failed ? 500 : 200, ms);
  return stats;
}

/** @returns the figures, or the failure */
async function compare(old: readonly Answers[], fresh: readonly Answers[]): Promise<unknown> {
  const reports = new Reports(new Events());
  const requests = fresh.reduce((sum, { count }) => sum + count, 0);
  const canary = new Canary(reports, requests, (pid) => pid === newPid);
  for (const [pid, answers] of [
    [oldPid, old],
    [newPid, fresh],
  ] as const) {
    const counts = statsOf(answers).take();
    if (counts) reports.publish({ kind: 'answers', pid, tid: 0, ...counts });
  }
  return await canary.judge(() => {}).catch((error) => error);
}

/** @param slow how many of the 20 responses of the new generation took 400 ms, and not 2 as all others */
function judge(slow: number, failed = 0): Promise<unknown> {
  return compare(
    [{ count: 15 }],
    [
      { count: slow, ms: 400, failed },
      { count: 20 - slow, failed: slow > 0 ? 0 : failed },
    ],
  );
}

test.each([0, 1, 2])('%i slow responses of 20 are chance', async (slow) => {
  expect(await judge(slow)).toMatchObject({ requests: 20, failed: 0 });
});

test.each([3, 20])('%i slow responses of 20 are worse', async (slow) => {
  const failure = await judge(slow);
  expect(failure).toBeInstanceOf(FailedTrial);
  expect(String(failure)).toMatch(/the p99 of their first 20 responses was 4\d\d\.\d ms/);
});

test.each([0, 2])('%i failed responses of 20 are chance', async (failed) => {
  expect(await judge(0, failed)).toMatchObject({ requests: 20, failed });
});

test('three failed responses of 20 are worse', async () => {
  expect(String(await judge(0, 3))).toMatch(/3 of their first 20 responses had a status of 500 or above/);
});

test.each([
  [0, 300, 3, false],
  [0, 300, 4, true],
  [4, 300, 3, false],
  [4, 300, 4, true],
  [15, 200, 6, false],
  [15, 200, 7, true],
])(
  'with %i of 1000 failed before, of %i responses %i failed ones are worse: %s',
  async (before, count, failed, isWorse) => {
    const outcome = await compare([{ count: 1000, failed: before }], [{ count, failed }]);
    expect(outcome instanceof FailedTrial).toBe(isWorse);
  },
);

test.each([
  [2, 45, false],
  [2, 54, true],
  [20, 45, false],
  [20, 54, true],
  [40, 85, false],
  [40, 95, true],
  [100, 200, false],
  [100, 230, true],
])('with a p99 of %i ms before, one of %i ms is worse: %s', async (before, ms, isWorse) => {
  const outcome = await compare([{ count: 100, ms: before }], [{ count: 100, ms }]);
  expect(outcome instanceof FailedTrial).toBe(isWorse);
});

test('twice the p99 is the limit, however it is counted', async () => {
  for (let before = 30; before < 20_000; before *= 1.1) {
    const old = [{ count: 100, ms: before }];
    const limit = 2 * statsOf(old).p99;
    expect(limit).toBeLessThan(2 * before * 1.2);
    expect(await compare(old, [{ count: 100, ms: limit * 0.999 }])).toMatchObject({ requests: 100 });
    expect(await compare(old, [{ count: 100, ms: limit * 1.001 }])).toBeInstanceOf(FailedTrial);
  }
});

test('without responses of the old generation, slow ones are not compared, and failed ones are', async () => {
  expect(await compare([], [{ count: 20, ms: 400 }])).toMatchObject({ requests: 20 });
  expect(await compare([], [{ count: 20, failed: 3 }])).toBeInstanceOf(FailedTrial);
});

test('of fewer than three responses, all must be bad', async () => {
  expect(await compare([{ count: 15 }], [{ count: 2, failed: 1 }])).toMatchObject({ requests: 2 });
  expect(await compare([{ count: 15 }], [{ count: 2, failed: 2 }])).toBeInstanceOf(FailedTrial);
});
