// `npm run bench:overhead [-- ROW ...]`: what mpserve costs beside the least that does the same job, in one run and
// in alternation. Both sides of a row are up together and measured one right after the other in each round, so that
// whatever else the machine is doing hits both; the ratio is the median of those of the rounds. Exits 1 when one is
// above its bound. Rows whose sides cannot be up together bring their own `measure`, which returns the figures of each side.
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { median } from '../dist/bench/summary.js';
import { proportionalMemory } from '../dist/os/process-tree.js';
import { controlRow } from './control-command.js';
import { idleRows } from './idle.js';
import { cpuPerRequest, send, timesToFirstByte } from './load.js';
import { memoryRow } from './memory.js';
import { baseline, mpserve, start } from './server.js';
import { startRow } from './start.js';

const rounds = Math.max(5, Number(process.env.ROUNDS) || 9);
const seconds = 1;
delete process.env.NODE_EXTRA_CA_CERTS; // reading certificates is no part of what is compared
const scratch = mkdtempSync(path.join(tmpdir(), 'mpserve-bench-'));

// The sides.
const bare = baseline('bare');
const cluster = baseline('cluster');
const prefork = mpserve('--model', 'prefork', '--workers', '2');
const single = mpserve('--model', 'prefork', '--workers', '1');
const unrecorded = [...single, '--quarantine-after', '0'];
const logging = [...single, '--access-log', path.join(scratch, 'access.log')];
const prethread = mpserve('--model', 'prethread', '--threads', '2');
const hybrid = mpserve('--model', 'hybrid', '--workers', '2', '--threads', '2');

// What is measured: `of` takes a running server (or starts one) that has answered `warmUp` requests, which is enough
// for the compiler, and few where each costs a process; it returns one figure, the smaller the better.
const cpuKeptAlive = {
  unit: 'µs/request',
  warmUp: 30_000,
  of: (server) => cpuPerRequest(server, seconds),
};
const cpuOfPost = {
  unit: 'µs/request',
  warmUp: 30_000,
  of: (server) => cpuPerRequest(server, seconds, { body: 'x'.repeat(100) }),
};
const cpuOneEach = {
  unit: 'µs/request',
  warmUp: 30_000,
  of: (server) => cpuPerRequest(server, seconds, { oneRequestEach: true }),
};
const firstByte = { unit: 'ms', warmUp: 64, of: async (server) => median(await timesToFirstByte(server, 9)) };
/** At five connections a second. */
const firstByteSlowly = {
  unit: 'ms',
  warmUp: 16,
  of: async (server) => median(await timesToFirstByte(server, 9, 200)),
};
const memory = { unit: 'MB', warmUp: 10_000, of: (server) => proportionalMemory(server.pid) / 1e6 };

const pairs = [
  ['single-get', 'prefork, 1 worker, kept-alive GET', single, bare, cpuKeptAlive, 1.08],
  ['single-post', 'prefork, 1 worker, kept-alive POST of 100 bytes', single, bare, cpuOfPost, 1.12],
  ['record', 'the record of requests beside none, GET', single, unrecorded, cpuKeptAlive, 1.05],
  ['record-post', 'the record of requests beside none, POST of 100 bytes', single, unrecorded, cpuOfPost, 1.05],
  ['access-log', 'access log to a file beside none, prefork, 1 worker', logging, single, cpuKeptAlive, 1.2],
  ['prefork-kept-alive', 'prefork, 2 workers, kept-alive', prefork, bare, cpuKeptAlive, 1.15],
  ['prefork-one-each', 'prefork, one request a connection', prefork, cluster, cpuOneEach, 0.5],
  ['prethread-kept-alive', 'prethread, 2 threads, kept-alive', prethread, bare, cpuKeptAlive, 1.25],
  ['prethread-one-each', 'prethread, one request a connection', prethread, cluster, cpuOneEach, 0.5],
  ['hybrid-kept-alive', 'hybrid 2 × 2, kept-alive', hybrid, bare, cpuKeptAlive, 1.3],
  ['hybrid-one-each', 'hybrid 2 × 2, one request a connection', hybrid, cluster, cpuOneEach, 0.5],
  [
    'ppc-first-byte',
    'ppc, time to the first byte',
    mpserve('--model', 'ppc'),
    baseline('process-per-connection'),
    firstByte,
    1.3,
  ],
  [
    'tpc-first-byte',
    'tpc, time to the first byte',
    mpserve('--model', 'tpc'),
    baseline('thread-per-connection'),
    firstByte,
    1.3,
  ],
  [
    'ppc-spares',
    'ppc --spares 8, time to the first byte, beside ppc without',
    mpserve('--model', 'ppc', '--spares', '8'),
    mpserve('--model', 'ppc'),
    firstByteSlowly,
    0.15,
  ],
  [
    'hang-timeout',
    'prefork, --hang-timeout beside none',
    prefork,
    [...prefork, '--hang-timeout', '0'],
    cpuKeptAlive,
    1.05,
  ],
  ['supervisor-memory', 'supervisor, proportional memory', prefork, bare, memory, 1.2],
].map(([name, title, ours, theirs, measure, asked]) => {
  return { name, title, unit: measure.unit, asked, measure: () => compare(ours, theirs, measure) };
});
const rows = [...pairs, startRow, controlRow, memoryRow, ...idleRows];

const chosen = process.argv.slice(2);
const selected = rows.filter(({ name }) => chosen.length === 0 || chosen.includes(name));
let met = true;
try {
  console.log(
    `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}, ${rounds} rounds, medians (and ranges)\n`,
  );
  console.log('| what | mpserve | baseline | ratio | at most | |\n| --- | --- | --- | --- | --- | --- |');
  for (const row of selected) met = report(row, await row.measure(rounds)) && met;
  process.exitCode = met ? 0 : 1;
} finally {
  rmSync(scratch, { recursive: true });
}

/** @returns what each side came to in each round. */
async function compare(ours, theirs, measure) {
  const sides = [];
  try {
    for (const command of [theirs, ours]) {
      const server = await start(command);
      sides.push({ command, server, figures: [] });
      await send(server, measure.warmUp);
    }
    for (let round = 1; round <= rounds; round++) {
      if (process.stderr.isTTY) process.stderr.write(`round ${round} of ${rounds}\r`);
      // The order turns with each round, so that a drift of the machine favours neither.
      for (const { command, server, figures } of round % 2 ? sides : [...sides].reverse()) {
        figures.push(await measure.of(server, command));
      }
    }
    return { theirs: sides[0].figures, ours: sides[1].figures };
  } finally {
    for (const { server } of sides) await server.stop();
  }
}

/**
 * @param theirs what the other side came to in each round; absent where the bound is for `ours` itself
 * @returns whether the row is within its bound
 */
function report({ title, unit, asked }, { ours, theirs }) {
  const judged = theirs ? ours.map((mine, round) => mine / theirs[round]) : ours;
  const met = median(judged) <= asked;
  const [mine, other] = [ours, theirs].map((values) => (values ? `${words(values, 1)} ${unit}` : ''));
  const ratio = theirs ? words(judged, 2) : '';
  console.log(`| ${title} | ${mine} | ${other} | ${ratio} | ${asked} | ${met ? 'met' : 'MISSED'} |`);
  return met;
}

/** The median and the range of the rounds. */
function words(values, digits) {
  const [middle, least, most] = [median(values), Math.min(...values), Math.max(...values)].map((value) =>
    value.toFixed(digits),
  );
  return `${middle} (${least} to ${most})`;
}
