// What becomes of a response whose request fails.
import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import type { WorkerEvent } from '../../src/events.ts';
import { answerFailures } from '../../src/pipeline/failures.ts';
import type { PipelineResponse } from '../../src/pipeline/response.ts';

const ended = { headersSent: true, writableEnded: true, writableFinished: false };

test.each([
  ['that the app has ended is sent to its end', ended, false, 'request-failed', false],
  ['that the app has not ended is cut', { ...ended, writableEnded: false }, false, 'response-cut', true],
  ['whose client has gone is no failure of the app', ended, true, 'client-gone', false],
])('a response %s', async (_, state, hasGone, event, isCut) => {
  const told: WorkerEvent[] = [];
  let cuts = 0;
  const req = { socket: { destroyed: hasGone, destroy: () => cuts++ } } as unknown as IncomingMessage;
  const handle = answerFailures((one) => told.push(one))(() => Promise.reject(new Error('a bug')));
  await handle(req, state as PipelineResponse, 'id');
  expect(told).toMatchObject([{ event, reqId: 'id' }]);
  expect(cuts > 0).toBe(isCut);
});

test('of a request that the server has answered early, the app rejects in vain', async () => {
  const told: WorkerEvent[] = [];
  const req = { socket: { destroyed: false } } as unknown as IncomingMessage;
  const handle = answerFailures((one) => told.push(one))(() => Promise.reject(new Error('overdue')));
  await handle(req, { isAnsweredEarly: true } as PipelineResponse, 'id');
  expect(told).toEqual([]);
});
