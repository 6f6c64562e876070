// The open loop against a server that responds at once, or only after the duration: which responses count as in time.
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import type { Job } from '../../src/bench/job.ts';
import { openLoop } from '../../src/bench/open-loop.ts';
import { Tally } from '../../src/bench/tally.ts';

async function run(respond: (response: ServerResponse) => void, rate: number, durationMs: number) {
  const load = { kind: 'open', rate } as const;
  const server = createServer((_, response) => respond(response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const requests = [{ path: '/', method: 'GET', headers: {} }];
    const job: Job = { origin, connections: 10, durationMs, requests, load };
    const tally = new Tally();
    const { seconds, inTime } = await openLoop(job, load, tally);
    return { inTime, ...tally.report(seconds) };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('a response within the duration is in time', async () => {
  // One request, so the loop ends long before its duration.
  const result = await run((response) => response.end('x'), 0.01, 50_000);
  expect(result).toMatchObject({ requests: 1, inTime: 1, seconds: 50 });
});

test('responses after the duration have a latency, but are not in time', async () => {
  const durationMs = 100;
  const result = await run((response) => void setTimeout(() => response.end('x'), 2 * durationMs), 50, durationMs);
  expect(result).toMatchObject({ requests: 5, inTime: 0, seconds: 0.1 });
  expect(result.latencyMs?.max).toBeGreaterThan(0);
});
