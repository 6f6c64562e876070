// Which losses of a trial are avoidable.
import { expect, test } from 'vitest';
import type { ClientStats, LossReason } from '../../src/prove/messages.ts';
import { resultOf } from '../../src/prove/results.ts';
import { Tally } from '../../src/prove/tally.ts';

const losses = (count: number, reason: string): LossReason[] =>
  count === 0 ? [] : [{ client: 'kept-alive', reason, count, atMs: [1] }];

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

test('a reconnect is no loss where the server may close connections', () => {
  const { reconnects, avoidable, reasons } = resultOf('watch', { times: 1, mayReconnect: true }, [stats(1, 2, 5)]);
  expect({ reconnects, avoidable }).toEqual({ reconnects: 5, avoidable: 3 });
  expect(reasons).toHaveLength(3);
});

test('losses for the same reason are one entry, with the times of the first ten', () => {
  const tally = new Tally();
  for (let i = 0; i < 1000; i++) tally.addLost('kept-alive', 'connection reset', 1);
  tally.addFailed('slow head', 'status 503', 1);
  expect(tally.counts).toEqual({ answered: 0, failed: 1, lost: 1000, longestMs: 1 });
  const taken = tally.take();
  expect(taken.losses).toEqual([
    { client: 'kept-alive', reason: 'connection reset', count: 1000, atMs: Array(10).fill(expect.any(Number)) },
  ]);
  tally.addLost('kept-alive', 'connection reset', 2);
  expect(tally.counts).toEqual({ answered: 0, failed: 1, lost: 1001, longestMs: 2 });
  const { requests, reasons } = resultOf('watch', { times: 1 }, [taken, tally.take()]);
  expect({ requests, counts: reasons.map(({ count }) => count) }).toEqual({ requests: 1002, counts: [1, 1001] });
});
