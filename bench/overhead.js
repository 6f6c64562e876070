// `npm run bench:overhead [-- ROW ...]`: the overhead of mpserve compared with a minimal baseline. Both sides of a row run at
// the same time, and each round measures one right after the other, so that other load on the machine affects both. The
// result is the median of the ratios of the rounds. Exits 1 if a row exceeds its bound. Rows whose sides cannot run at the
// same time have a `measure` of their own, which returns the values of each side in each round.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { median } from '../dist/bench/summary.js';
import { proportionalMemory } from '../dist/os/process-tree.js';
import { controlRow } from './control-command.js';
import { idleRows } from './idle.js';
import { cpuPerRequest, send, timesToFirstByte } from './load.js';
import { memoryRow } from './memory.js';
import { baseline, mpserve, root, serving, start } from './server.js';
import { startRow } from './start.js';

const rounds = Math.max(5, Number(process.env.ROUNDS) || 9);
const seconds = 1;
delete process.env.NODE_EXTRA_CA_CERTS; // both sides would spend time on reading certificates
const scratch = mkdtempSync(path.join(tmpdir(), 'mpserve-bench-'));

// The commands of both sides.
const bare = baseline('bare');
const cluster = baseline('cluster');
const prefork = mpserve('--model', 'prefork', '--workers', '2');
const single = mpserve('--model', 'prefork', '--workers', '1');
const withoutJournal = [...single, '--quarantine-after', '0'];
const logging = [...single, '--access-log', path.join(scratch, 'access.log')];
const dispatch = mpserve('--model', 'prefork', '--workers', '2', '--accept', 'dispatch');
const queued = mpserve('--model', 'prefork', '--workers', '2', '--accept', 'reuseport');
const sticky = [...dispatch, '--sticky', 'cookie:sid'];
const limiting = [...single, '--rate-limit', '1000000/s'];
const adminSocket = path.join(scratch, 'admin');
const scraper = new Agent({ keepAlive: true });
const watched = [...single, '--admin', `unix:${adminSocket}`];
const hotFile = path.join(scratch, 'index.html');
writeFileSync(hotFile, 'x'.repeat(1024));
const cacheable = path.join(root, 'bench/baselines/cacheable.cjs');
const one = ['--model', 'prefork', '--workers', '1'];
const caching = serving(cacheable, ...one, '--cache', '64M');
const cached = baseline('bare', path.join(root, 'bench/baselines/cached.cjs'));
const json = path.join(root, 'bench/baselines/json.cjs');
const jsonByExpress = path.join(root, 'bench/baselines/json-express.cjs');
const jsonCompressedInApp = path.join(root, 'bench/baselines/json-compression.cjs');
const prethread = mpserve('--model', 'prethread', '--threads', '2');
const hybrid = mpserve('--model', 'hybrid', '--workers', '2', '--threads', '2');

// The metrics: `of` measures a running server after `warmUp` requests and returns one value, of which less is better.
// 30,000 requests are enough for V8's compiler; a metric that starts a process per request takes few.
const cpuKeptAlive = {
  unit: 'µs/request',
  warmUp: 30_000,
  of: (server) => cpuPerRequest(server, seconds),
};
/** Of both sides, while the one that has an admin server is scraped once a second. */
const cpuWhileScraped = {
  unit: 'µs/request',
  warmUp: 30_000,
  of: async (server) => {
    const timer = setInterval(scrape, 1000);
    await scrape();
    return cpuPerRequest(server, 2 * seconds).finally(() => clearInterval(timer));
  },
};
const cpuOfPost = {
  unit: 'µs/request',
  warmUp: 30_000,
  of: (server) => cpuPerRequest(server, seconds, { body: 'x'.repeat(100) }),
};
/** The paths are new each time. */
const cpuOfMisses = {
  unit: 'µs/request',
  warmUp: 60_000,
  isUnique: true,
  of: (server) => cpuPerRequest(server, seconds, { isUnique: true }),
};
const cpuOfGzip = {
  unit: 'µs/request',
  warmUp: 5_000,
  of: (server) => cpuPerRequest(server, seconds, { accepted: 'gzip' }),
};
const cpuPerConnection = {
  unit: 'µs/request',
  warmUp: 30_000,
  of: (server) => cpuPerRequest(server, seconds, { keepAlive: false }),
};
const firstByte = { unit: 'ms', warmUp: 64, of: async (server) => median(await timesToFirstByte(server, 9)) };
/** At five connections per second. */
const firstByteSlowly = {
  unit: 'ms',
  warmUp: 16,
  of: async (server) => median(await timesToFirstByte(server, 9, 200)),
};
const memory = { unit: 'MB', warmUp: 10_000, of: (server) => proportionalMemory(server.pid) / 1e6 };

const pairs = [
  ['single-get', 'prefork, 1 worker, keep-alive GET', single, bare, cpuKeptAlive, 1.08],
  ['single-post', 'prefork, 1 worker, keep-alive POST of 100 bytes', single, bare, cpuOfPost, 1.12],
  ['record', 'in-flight journal compared with none, GET', single, withoutJournal, cpuKeptAlive, 1.05],
  ['record-post', 'in-flight journal compared with none, POST of 100 bytes', single, withoutJournal, cpuOfPost, 1.05],
  ['access-log', 'access log to a file compared with none, prefork, 1 worker', logging, single, cpuKeptAlive, 1.2],
  ['access-log-json', 'access log in JSON to a file compared with bare node:http', logging, bare, cpuKeptAlive, 1.35],
  [
    'access-log-combined',
    'access log in the format combined to a file compared with bare node:http',
    [...logging, '--access-log-format', 'combined'],
    bare,
    cpuKeptAlive,
    1.25,
  ],
  [
    'admin',
    '--admin, scraped each second, compared with none, prefork, 1 worker',
    watched,
    single,
    cpuWhileScraped,
    1.03,
  ],
  [
    'static',
    'a file of 1 KiB, prefork, 1 worker',
    serving(scratch, '--model', 'prefork', '--workers', '1'),
    baseline('file', hotFile),
    cpuKeptAlive,
    1.15,
  ],
  ['rate-limit', '--rate-limit compared with none, prefork, 1 worker', limiting, single, cpuKeptAlive, 1.15],
  ['cache-hit', '--cache, hits, prefork, 1 worker, keep-alive, the same bytes', caching, cached, cpuKeptAlive, 1.15],
  [
    'cache-hit-threads',
    'the same, prethread, 2 threads',
    serving(cacheable, '--model', 'prethread', '--threads', '2', '--cache', '64M'),
    cached,
    cpuKeptAlive,
    1.15,
  ],
  [
    'cache-hit-shared',
    '--cache-store shared, hits, prefork, 1 worker, keep-alive, the same bytes',
    serving(cacheable, ...one, '--cache', '64M', '--cache-store', 'shared'),
    cached,
    cpuKeptAlive,
    1.15,
  ],
  [
    'cache-hit-shared-threads',
    'the same, prethread, 2 threads',
    serving(cacheable, '--model', 'prethread', '--threads', '2', '--cache', '64M', '--cache-store', 'shared'),
    cached,
    cpuKeptAlive,
    1.15,
  ],
  [
    'cache-miss',
    '--cache compared with none, responses that may not be kept, prefork, 1 worker',
    mpserve(...one, '--cache', '64M'),
    single,
    cpuKeptAlive,
    1.1,
  ],
  [
    'cache-store',
    '--cache compared with none, each response is kept, prefork, 1 worker',
    caching,
    serving(cacheable, ...one),
    cpuOfMisses,
    1.1,
  ],
  [
    'cache-store-shared',
    '--cache-store shared compared with memory, each response is kept, prefork, 1 worker',
    serving(cacheable, ...one, '--cache', '64M', '--cache-store', 'shared'),
    caching,
    cpuOfMisses,
    1.5,
  ],
  [
    'compress-none',
    '--compress compared with none, 10 KiB of JSON, clients that accept no coding, prefork, 1 worker',
    serving(json, ...one, '--compress', 'on'),
    serving(json, ...one),
    cpuKeptAlive,
    1.03,
  ],
  [
    'compress-gzip',
    '--compress gzip compared with the middleware `compression`, 10 KiB of JSON by Express, prefork, 1 worker',
    serving(jsonByExpress, ...one, '--compress', 'gzip'),
    serving(jsonCompressedInApp, ...one),
    cpuOfGzip,
    1,
  ],
  ['prefork-kept-alive', 'prefork, 2 workers, keep-alive', prefork, bare, cpuKeptAlive, 1.15],
  ['prefork-one-each', 'prefork, one request per connection', prefork, cluster, cpuPerConnection, 0.5],
  [
    'sticky',
    'prefork dispatch, --sticky compared with none, one request per connection',
    sticky,
    dispatch,
    cpuPerConnection,
    1.05,
  ],
  [
    'reuseport',
    'prefork reuseport compared with shared, one request per connection',
    queued,
    prefork,
    cpuPerConnection,
    1,
  ],
  [
    'reuseport-8',
    'the same, 8 workers',
    mpserve('--model', 'prefork', '--workers', '8', '--accept', 'reuseport'),
    mpserve('--model', 'prefork', '--workers', '8'),
    cpuPerConnection,
    1,
  ],
  ['prethread-kept-alive', 'prethread, 2 threads, keep-alive', prethread, bare, cpuKeptAlive, 1.25],
  ['prethread-one-each', 'prethread, one request per connection', prethread, cluster, cpuPerConnection, 0.5],
  ['hybrid-kept-alive', 'hybrid 2 × 2, keep-alive', hybrid, bare, cpuKeptAlive, 1.3],
  ['hybrid-one-each', 'hybrid 2 × 2, one request per connection', hybrid, cluster, cpuPerConnection, 0.5],
  [
    'ppc-first-byte',
    'ppc, time to first byte',
    mpserve('--model', 'ppc'),
    baseline('process-per-connection'),
    firstByte,
    1.3,
  ],
  [
    'tpc-first-byte',
    'tpc, time to first byte',
    mpserve('--model', 'tpc'),
    baseline('thread-per-connection'),
    firstByte,
    1.3,
  ],
  [
    'ppc-rate-limit',
    'ppc, --rate-limit compared with none, time to first byte',
    mpserve('--model', 'ppc', '--rate-limit', '1000000/s'),
    mpserve('--model', 'ppc'),
    firstByte,
    1.4,
  ],
  [
    'ppc-spares',
    'ppc --spares 8 compared with ppc without, time to first byte',
    mpserve('--model', 'ppc', '--spares', '8'),
    mpserve('--model', 'ppc'),
    firstByteSlowly,
    0.15,
  ],
  [
    'hang-timeout',
    'prefork, --hang-timeout compared with none',
    prefork,
    [...prefork, '--hang-timeout', '0'],
    cpuKeptAlive,
    1.05,
  ],
  ['supervisor-memory', 'supervisor, proportional memory', prefork, bare, memory, 1.2],
].map(([name, title, ours, theirs, metric, bound]) => {
  return { name, title, unit: metric.unit, bound, measure: () => compare(ours, theirs, metric) };
});
const rows = [...pairs, startRow, controlRow, memoryRow, ...idleRows];

const chosen = process.argv.slice(2);
const selected = rows.filter(({ name }) => chosen.length === 0 || chosen.includes(name));
let areAllMet = true;
try {
  console.log(
    `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}, ${rounds} rounds, medians (and ranges)\n`,
  );
  console.log('| comparison | mpserve | baseline | ratio | bound | |\n| --- | --- | --- | --- | --- | --- |');
  for (const row of selected) areAllMet = report(row, await row.measure(rounds)) && areAllMet;
  process.exitCode = areAllMet ? 0 : 1;
} finally {
  rmSync(scratch, { recursive: true });
}

/** @returns the values of each side in each round */
async function compare(ours, theirs, metric) {
  const sides = [];
  try {
    for (const command of [theirs, ours]) {
      const server = await start(command);
      sides.push({ server, values: [] });
      await send(server, metric.warmUp, metric);
    }
    for (let round = 1; round <= rounds; round++) {
      if (process.stderr.isTTY) process.stderr.write(`round ${round} of ${rounds}\r`);
      // Every other round runs in reverse order, so that a drift of the machine's speed favours neither side.
      for (const { server, values } of round % 2 ? sides : [...sides].reverse()) {
        values.push(await metric.of(server));
      }
    }
    return { theirs: sides[0].values, ours: sides[1].values };
  } finally {
    for (const { server } of sides) await server.stop();
  }
}

/** Over a connection that is kept, as Prometheus does. */
function scrape() {
  return new Promise((done, failed) => {
    get({ agent: scraper, socketPath: adminSocket, path: '/metrics' }, (response) =>
      response.resume().on('end', done),
    ).on('error', failed);
  });
}

/**
 * @param theirs the baseline's values; absent if the bound is for the values of `ours`, and not for a ratio
 * @returns whether the row is within its bound
 */
function report({ title, unit, bound }, { ours, theirs }) {
  const bounded = theirs ? ours.map((value, round) => value / theirs[round]) : ours;
  const isMet = median(bounded) <= bound;
  const [own, baseline] = [ours, theirs].map((values) => (values ? `${format(values, 1)} ${unit}` : ''));
  const ratio = theirs ? format(bounded, 2) : '';
  console.log(`| ${title} | ${own} | ${baseline} | ${ratio} | ${bound} | ${isMet ? 'met' : 'EXCEEDED'} |`);
  return isMet;
}

/** The median and the range of the rounds. */
function format(values, digits) {
  const [middle, min, max] = [median(values), Math.min(...values), Math.max(...values)].map((value) =>
    value.toFixed(digits),
  );
  return `${middle} (${min} to ${max})`;
}
