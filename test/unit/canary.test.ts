// What --canary takes for worse, and what for chance.
import { expect, test } from 'vitest';
import { Events } from '../../src/events.ts';
import { Reports } from '../../src/reports/reports.ts';
import { ResponseStats } from '../../src/scaling/response-stats.ts';
import { FailedTrial } from '../../src/strategies/trial.ts';
import { Canary } from '../../src/supervisor/canary.ts';

const [oldPid, newPid] = [1, 2];

/** @param slow how many of the 20 responses of the new generation took 400 ms, and not 2 as all others */
async function judge(slow: number, failed = 0): Promise<unknown> {
  const reports = new Reports(new Events());
  const canary = new Canary(reports, 20, (pid) => pid === newPid);
  const answered = (pid: number, count: number, slow: number, failed: number) => {
    const stats = new ResponseStats();
    for (let i = 0; i < count; i++) stats.add(i < failed ? 500 : 200, i < slow ? 400 : 2);
    const counts = stats.take();
    if (counts) reports.publish({ kind: 'answers', pid, tid: 0, ...counts });
  };
  answered(oldPid, 15, 0, 0);
  answered(newPid, 20, slow, failed);
  return await canary.judge(() => {}).catch((error) => error);
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
