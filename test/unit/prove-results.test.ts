// Which losses of a trial are avoidable.
import { expect, test } from 'vitest';
import type { ClientStats, Loss } from '../../src/prove/messages.ts';
import { resultOf } from '../../src/prove/results.ts';

const losses = (count: number, reason: string): Loss[] =>
  Array.from({ length: count }, () => ({ clientType: 'kept-alive', atMs: 1, reason }));

const stats = (failed: number, lost: number, reconnects: number): ClientStats => ({
  answered: 10,
  failures: losses(failed, 'status 502'),
  losses: losses(lost, 'connection reset'),
  reconnects: losses(reconnects, 'connection closed between two requests'),
  longestResponseTimes: [],
});

test('failed requests are unavoidable up to those that ran on the dead thread, others up to its connections', () => {
  const { requests, answered, failed, lost, unavoidable, avoidable, reasons } = resultOf(
    'kill-thread',
    { times: 1, brokenConnections: 2, failedRequests: 3 },
    [stats(4, 1, 1)],
  );
  expect({ requests, answered, failed, lost }).toEqual({ requests: 15, answered: 10, failed: 4, lost: 1 });
  expect({ unavoidable, avoidable }).toEqual({ unavoidable: 5, avoidable: 1 });
  expect(reasons.map(({ reason, count }) => [reason, count])).toEqual([
    ['status 502', 4],
    ['connection reset', 1],
    ['connection closed between two requests', 1],
  ]);
});

test('no failed request makes up for a lost one, nor the other way round', () => {
  expect(resultOf('a', { times: 1, failedRequests: 5 }, [stats(0, 2, 0)]).avoidable).toBe(2);
  expect(resultOf('a', { times: 1, brokenConnections: 5 }, [stats(2, 0, 0)]).avoidable).toBe(2);
});
