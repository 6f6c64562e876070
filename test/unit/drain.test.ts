// The drain of a pipeline's connections.
import { expect, test } from 'vitest';
import type { WorkerEvent } from '../../src/events.ts';
import type { Connection } from '../../src/pipeline/connection.ts';
import { Drain } from '../../src/pipeline/drain.ts';

test('a drain that is shortened cuts a request then', async () => {
  const connections = new Set<Connection>();
  const connection = {
    inFlight: () => ({ reqId: '1', method: 'GET', url: '/', ageMs: 5 }),
    socket: { bytesRead: 0 },
    close: () => connections.delete(connection),
    betweenRequests: false,
  } as unknown as Connection;
  connections.add(connection);
  const told: WorkerEvent[] = [];
  const drain = new Drain(connections, {
    quiet: 1000,
    ms: 3_600_000,
    wsDrain: 0,
    isStop: true,
    sender: undefined,
    migration: undefined,
    refuseWaiting: undefined,
    tell: (event) => told.push(event),
  });
  const finished = drain.finish();
  drain.shorten(10);
  await finished;
  expect(told).toMatchObject([{ event: 'request-cut', url: '/' }]);
});
