// `npm run bench:overload [SECONDS [WORKERS]]`: what becomes of an app that gets three times the requests that it can
// answer: with plain Node, with mpserve, and with mpserve that limits the requests in the app. All sides have the same number
// of event loops, by default one. First the capacity of the app is measured with a closed loop; then requests come at a steady rate, whether or not earlier ones have
// been answered, and beside them a health check every 50 ms, each on a new connection.
import { request } from 'node:http';
import { cpus } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { closedLoop } from '../dist/bench/closed-loop.js';
import { openLoop } from '../dist/bench/open-loop.js';
import { Tally } from '../dist/bench/tally.js';
import { baseline, serving, start } from './server.js';

const app = fileURLToPath(new URL('apps/limited.cjs', import.meta.url));
const seconds = Number(process.argv[2] ?? 20);
const workers = Number(process.argv[3] ?? 1);
const factor = 3;
/** A response that comes later is of no use to the client (milliseconds). */
const boundMs = 500;
const queueTimeoutMs = 1000;
const healthEveryMs = 50;

const requests = [{ path: '/', method: 'GET', headers: {} }];
/** For each processor that is used. */
const maxInflight = 8 * Math.min(workers, cpus().length);
const limits = (inflight) => [
  ...['--max-inflight', String(inflight), '--queue-max', '200', '--queue-timeout', `${queueTimeoutMs}ms`],
  ...['--health-path', '/healthz'],
];
const [plainName, plain] =
  workers === 1 ? ['node:http', baseline('bare', app)] : ['node:cluster', baseline('cluster', String(workers), app)];
const prefork = (...args) => serving(app, '--model', 'prefork', '--workers', String(workers), ...args);
const sides = [
  [plainName, plain],
  ['mpserve', prefork()],
  [`mpserve --max-inflight ${maxInflight}`, prefork(...limits(maxInflight))],
  ...[
    [maxInflight, boundMs],
    // A health check waits for what its event loop has in the app, and clients see more than the server's own p99.
    [3 * workers, 0.9 * boundMs],
  ].map(([inflight, goalMs]) => [
    `mpserve --max-inflight ${inflight} --shed p99=${goalMs}ms`,
    prefork(...limits(inflight), '--shed', `p99=${goalMs}ms`),
  ]),
];

const capacity = await withServer(plain, async (origin) => {
  await closed(origin, 1000);
  return closed(origin, Math.min(5, seconds) * 1000);
});
const rate = Math.round(factor * capacity);
console.log(
  `capacity of the app with ${plainName}, ${workers} event loops: ${capacity.toFixed(0)} requests/s; sent: ${rate}/s for ${seconds} s\n`,
);
console.log(
  `| side | 200 within ${boundMs} ms, of the capacity | p99 of the 200s | 200, 503, failed | longest until a 503 | slowest health check; failed |\n` +
    '| --- | --- | --- | --- | --- | --- |',
);
for (const [name, command] of sides) {
  const row = await withServer(command, async (origin) => {
    await closed(origin, 1000); // warms up
    return overload(origin);
  });
  console.log(`| ${name} | ${row.join(' | ')} |`);
}

/** @returns the cells of the row */
async function overload(origin) {
  const latencies = [];
  let refused = 0;
  let longestRefusal = 0;
  let failed = 0;
  const tally = {
    recordResponse(status, ms) {
      if (status === 200) latencies.push(ms);
      else if (status === 503) {
        refused++;
        longestRefusal = Math.max(longestRefusal, ms);
      } else failed++;
    },
    recordError: () => failed++,
  };
  const checks = checkHealth(origin);
  await openLoop({ origin, connections: 10_000, durationMs: seconds * 1000, requests }, { kind: 'open', rate }, tally);
  const health = await checks.stop();
  const good = latencies.filter((ms) => ms <= boundMs).length;
  return [
    `${((100 * good) / seconds / capacity).toFixed(0)} %`,
    latencies.length > 0 ? `${percentile(latencies, 0.99).toFixed(0)} ms` : 'none',
    `${latencies.length}, ${refused}, ${failed}`,
    refused > 0 ? `${longestRefusal.toFixed(0)} ms` : 'none',
    `${health.slowest.toFixed(0)} ms of ${health.count}; ${health.failed}`,
  ];
}

/** Each check begins on time, also while earlier ones have not been answered. */
function checkHealth(origin) {
  const result = { count: 0, failed: 0, slowest: 0 };
  const pending = new Set();
  const timer = setInterval(() => {
    const began = performance.now();
    result.count++;
    const done = get(`${origin}/healthz`)
      .then((status) => {
        if (status !== 200) result.failed++;
      })
      .catch(() => result.failed++)
      .finally(() => {
        result.slowest = Math.max(result.slowest, performance.now() - began);
        pending.delete(done);
      });
    pending.add(done);
  }, healthEveryMs);
  return {
    stop: async () => {
      clearInterval(timer);
      await Promise.all(pending);
      return result;
    },
  };
}

function get(url) {
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent: false, timeout: 10_000 }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode));
    });
    sent.once('timeout', () => sent.destroy(new Error('no answer')));
    sent.once('error', reject).end();
  });
}

/** @returns responses per second */
async function closed(origin, durationMs) {
  const tally = new Tally();
  const taken = await closedLoop({ origin, connections: 16, durationMs, requests, load: { kind: 'closed' } }, tally);
  return tally.report(taken).requests / taken;
}

async function withServer(command, measure) {
  const server = await start(command);
  try {
    return await measure(`http://127.0.0.1:${server.port}`);
  } finally {
    await server.stop();
    await pause(200);
  }
}

function percentile(values, part) {
  return values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(part * values.length))];
}
