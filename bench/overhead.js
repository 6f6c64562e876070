// `npm run bench:overhead [-- ROW ...]`: what mpserve costs beside the least that does the same job, in one run and
// in alternation. In each round both sides of a row are measured one right after the other, so that whatever else the
// machine is doing hits both; the ratio is the median of those of the rounds. Exits 1 when one is above its bound.
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { cpuPerRequest, send, timesToFirstByte } from './load.js';
import { proportionalMemory } from './process-tree.js';
import { baseline, mpserve, start } from './server.js';

const rounds = Math.max(5, Number(process.env.ROUNDS) || 5);
const seconds = 3;
const scratch = mkdtempSync(path.join(tmpdir(), 'mpserve-bench-'));

// The sides. Each is started once and stays up, idle while the others are measured.
const bare = baseline('bare');
const cluster = baseline('cluster');
const prefork = mpserve('--model', 'prefork', '--workers', '2');
const logging = [...prefork, '--access-log', path.join(scratch, 'access.log')];
const prethread = mpserve('--model', 'prethread', '--threads', '2');
const hybrid = mpserve('--model', 'hybrid', '--workers', '2', '--threads', '2');

// What is measured. Each takes a running server (or starts one) and returns one figure, the smaller the better.
const cpuKeptAlive = { name: 'cpuKeptAlive', unit: 'µs/request', of: (server) => cpuPerRequest(server, seconds) };
const cpuOneEach = {
  name: 'cpuOneEach',
  unit: 'µs/request',
  of: (server) => cpuPerRequest(server, seconds, { oneRequestEach: true }),
};
const firstByte = { name: 'firstByte', unit: 'ms', of: async (server) => median(await timesToFirstByte(server, 9)) };
const boot = {
  name: 'boot',
  unit: 'ms',
  of: async (_, command) => median([await bootOnce(command), await bootOnce(command)]),
};
const memory = { name: 'memory', unit: 'MB', of: (server) => proportionalMemory(server.pid) / 1e6 };

const rows = [
  ['prefork-kept-alive', 'prefork, 2 workers, kept-alive', prefork, bare, cpuKeptAlive, 1.15],
  ['prefork-access-log', 'the same with --access-log to a file', logging, bare, cpuKeptAlive, 1.5],
  ['prefork-one-each', 'prefork, one request a connection', prefork, cluster, cpuOneEach, 0.5],
  ['prethread-kept-alive', 'prethread, 2 threads, kept-alive', prethread, bare, cpuKeptAlive, 1.25],
  ['prethread-one-each', 'prethread, one request a connection', prethread, cluster, cpuOneEach, 0.65],
  ['hybrid-kept-alive', 'hybrid 2 × 2, kept-alive', hybrid, bare, cpuKeptAlive, 1.3],
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
  ['prefork-boot', 'prefork, 2 workers, start to ready', prefork, cluster, boot, 1.6],
  ['supervisor-memory', 'supervisor, proportional memory', prefork, bare, memory, 1.2],
].map(([name, title, ours, theirs, measure, bound]) => ({ name, title, ours, theirs, measure, bound }));

const chosen = process.argv.slice(2);
const selected = rows.filter(({ name }) => chosen.length === 0 || chosen.includes(name));
const servers = new Map();
/** By row: what each side came to in each round. */
const figures = new Map(selected.map((row) => [row, { ours: [], theirs: [] }]));

try {
  console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}, ${rounds} rounds, medians\n`);
  for (const { ours, theirs } of selected) {
    for (const command of [theirs, ours]) {
      if (!servers.has(command)) servers.set(command, await start(command));
    }
  }
  for (const server of servers.values()) await send(server, warmUp(server));
  for (let round = 1; round <= rounds; round++) {
    for (const [i, row] of selected.entries()) {
      if (process.stderr.isTTY)
        process.stderr.write(`round ${round} of ${rounds}, row ${i + 1} of ${selected.length} \r`);
      // The order turns with each round, so that a drift of the machine favours neither.
      for (const side of round % 2 ? ['theirs', 'ours'] : ['ours', 'theirs']) {
        const command = row[side];
        figures.get(row)[side].push(await row.measure.of(servers.get(command), command));
      }
    }
  }
  process.exitCode = report() ? 0 : 1;
} finally {
  for (const server of servers.values()) await server.stop();
  rmSync(scratch, { recursive: true });
}

/** Enough for the compiler, and 10,000 requests before memory is looked at; a few where each costs a process. */
function warmUp(server) {
  const command = [...servers].find(([, started]) => started === server)?.[0] ?? [];
  return /ppc|tpc|per-connection/.test(command.join(' ')) ? 64 : 10_000;
}

async function bootOnce(command) {
  const server = await start(command);
  await server.stop();
  return server.bootMs;
}

function report() {
  let met = true;
  console.log('| what | mpserve | baseline | ratio | at most | |\n| --- | --- | --- | --- | --- | --- |');
  for (const row of selected) {
    const { title, measure, bound } = row;
    const { ours, theirs } = figures.get(row);
    const ratios = ours.map((mine, round) => mine / theirs[round]);
    const verdict = median(ratios) <= bound ? 'met' : 'MISSED';
    met &&= verdict === 'met';
    const [mine, other] = [ours, theirs].map((values) => `${words(values, 1)} ${measure.unit}`);
    console.log(`| ${title} | ${mine} | ${other} | ${words(ratios, 2)} | ${bound} | ${verdict} |`);
  }
  return met;
}

/** The median and the range of the rounds. */
function words(values, digits) {
  const [middle, least, most] = [median(values), Math.min(...values), Math.max(...values)].map((value) =>
    value.toFixed(digits),
  );
  return `${middle} (${least} to ${most})`;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return ((sorted[(sorted.length - 1) >> 1] ?? 0) + (sorted[sorted.length >> 1] ?? 0)) / 2;
}
