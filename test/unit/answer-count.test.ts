// Which responses count for --canary.
import { expect, test } from 'vitest';
import { Activity } from '../../src/activity.ts';
import { countAnswers } from '../../src/pipeline/answer-count.ts';
import type { PipelineResponse } from '../../src/pipeline/response.ts';
import type { WorkerReport } from '../../src/reports/report.ts';

test('those that the server gave instead of the app do not', () => {
  const told: WorkerReport[] = [];
  const activity = new Activity();
  const onClose = countAnswers((report) => told.push(report), activity);
  activity.connectionOpened();
  for (const [isInApp, statusCode] of [
    [false, 429],
    [false, 503],
    [true, 500],
  ] as const) {
    onClose({ isInApp, statusCode, writableFinished: true, begunAt: 0 } as PipelineResponse);
  }
  activity.stop();
  expect(told).toMatchObject([{ kind: 'answers', count: 1, failed: 1 }]);
});
