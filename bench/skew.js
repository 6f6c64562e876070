// `npm run bench:skew [-- ROUNDS [SECONDS [RATE …]]]`: what requests on threads (--unit request) do for light requests beside
// heavy ones. One request in twenty uses 100 ms of CPU time. Requests come at random at a steady rate (a Poisson process),
// each on one of many kept-alive connections, whether or not earlier ones have been answered; a latency counts from when the
// request was due. In each round all sides get the same requests, one after another; the order alternates. The result is the
// median of the ratios of the rounds. Exits 1 if the p99 or the throughput at the first rate is out of bounds.
import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { cpus, setPriority } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { median } from '../dist/bench/summary.js';
import { cpuSeconds } from '../dist/os/process-tree.js';
import { arrivalsAt, percentile, sendWhenDue, visit } from './arrivals.js';
import { launch } from './peers/launch.js';
import { wattWith } from './peers/watt.js';
import { baseline, serving, start } from './server.js';

const [rounds = 9, seconds = 8, ...givenRates] = process.argv.slice(2).map(Number);
const app = fileURLToPath(new URL('apps/skewed.cjs', import.meta.url));
const heavyShare = 1 / 20;
/** Two cores can do 400/s of 5 ms each. */
const rates = givenRates.length > 0 ? givenRates : [150, 300];
const connections = 64;
/** How many times lower the p99 of the light requests must be, and which part of the throughput is equal. */
const bounds = { p99: 5, throughput: 0.99 };
delete process.env.NODE_EXTRA_CA_CERTS;

const prefork = ['--accept', 'dispatch', '--balance', 'round-robin', '--workers', '2'];
/** The other sides let any number of requests wait, for any time. */
const noRefusals = ['--queue-max', '100000', '--queue-timeout', '1h'];
const own = 'mpserve prethread --unit request --threads 4';
const other = 'mpserve prefork --balance round-robin --workers 2';
const watt = wattWith(app);
const commands = {
  [own]: serving(app, '--model', 'prethread', '--unit', 'request', '--threads', '4', ...noRefusals),
  [other]: serving(app, '--model', 'prefork', ...prefork),
  'node:cluster, 2 workers': baseline('cluster', '2', app),
};

const sides = new Map();
const stopAll = async () => {
  for (const side of sides.values()) await side.stop();
};
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stopAll().then(() => process.exit(130)));
try {
  for (const [name, command] of Object.entries(commands)) sides.set(name, await start(command));
  const version = await watt.version();
  if (version === undefined) console.log(`Watt is not installed; it needs ${watt.needs}\n`);
  else sides.set(`Watt ${version}, 2 workers`, portOf(await launch(watt)));
  // The clients are to be neither slowed down by the servers, nor seen in what these take.
  setPriority(process.pid, -10);
  for (const side of sides.values()) await send(side, arrivalsAt(50, 4, heavyShare));
  for (const rate of rates) report(rate, await measureAll(rate));
} finally {
  await stopAll();
}

/** @returns the rounds of each side */
async function measureAll(rate) {
  const results = new Map([...sides.keys()].map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    const arrivals = arrivalsAt(rate, seconds, heavyShare);
    const order = [...sides];
    for (const [name, side] of round % 2 === 0 ? order : order.reverse()) {
      process.stderr.write(`${rate}/s, round ${round + 1} of ${rounds}: ${name}\n`);
      results.get(name).push(await send(side, arrivals));
      await pause(200);
    }
  }
  return results;
}

function report(rate, results) {
  const load = rate * (1 - heavyShare + heavyShare * 100) - rate * (1 - heavyShare);
  console.log(
    `\n${rate} requests/s, ${(load / 20).toFixed(0)} % of two cores, ${rounds} rounds of ${seconds} s\n\n` +
      '| side | light: p50 | p90 | p99 (of rounds) | heavy: p50 | in time | failed | CPU |\n|' +
      ' --- |'.repeat(8),
  );
  for (const [name, ofSide] of results) {
    const of = (key) => median(ofSide.map((one) => one[key]));
    const p99s = ofSide.map(({ p99 }) => p99);
    const cells = [
      name,
      ...[ms(of('p50')), ms(of('p90'))],
      `${ms(of('p99'))} (${ms(Math.min(...p99s))} to ${ms(Math.max(...p99s))})`,
      ms(of('heavy')),
      `${of('throughput').toFixed(1)}/s`,
      ofSide.reduce((sum, { failed }) => sum + failed, 0),
      `${of('cpu').toFixed(2)} s`,
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
  const shares = [...results.values()].flat().map(({ othersShare }) => othersShare);
  console.log(`\nOther processes used ${(100 * median(shares)).toFixed(0)} % of the processors (median).`);
  const ratioTo = (key) => median(results.get(own).map((one, i) => one[key] / results.get(other)[i][key]));
  const lower = 1 / ratioTo('p99');
  const throughput = ratioTo('throughput');
  console.log(
    `\np99 of light requests: ${lower.toFixed(1)} times lower than with round robin (at least ${bounds.p99}), ` +
      `throughput ${throughput.toFixed(3)} of it (at least ${bounds.throughput})`,
  );
  if (rate === rates[0] && !(lower >= bounds.p99 && throughput >= bounds.throughput)) process.exitCode = 1;
}

/** Sends the requests, each on a connection that is free, chosen at random; those for which none is free wait for one. */
async function send({ pid, port }, arrivals) {
  const free = Array.from({ length: connections }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
  const agents = [...free];
  const waiting = [];
  const light = [];
  const heavy = [];
  let failed = 0;
  const before = cpuSeconds(pid);
  const busyBefore = busySeconds() - before - ownSeconds();
  const began = performance.now();
  const lastDue = arrivals.at(-1).due;
  let inTime = 0;
  const one = async ({ due, isHeavy }) => {
    const agent =
      free.splice(Math.floor(Math.random() * free.length), 1)[0] ?? (await new Promise((go) => waiting.push(go)));
    const isDone = await visit(port, isHeavy ? '/heavy' : '/', agent);
    const next = waiting.shift();
    if (next) next(agent);
    else free.push(agent);
    const took = performance.now() - began - due;
    if (!isDone) failed++;
    else (isHeavy ? heavy : light).push(took);
    if (isDone && took + due <= lastDue) inTime++;
  };
  await sendWhenDue(arrivals, began, one);
  const cpu = cpuSeconds(pid) - before;
  const others = (busySeconds() - cpuSeconds(pid) - ownSeconds() - busyBefore) / cpus().length;
  const othersShare = (others * 1000) / (performance.now() - began);
  for (const agent of agents) agent.destroy();
  const percentiles = { p50: percentile(light, 0.5), p90: percentile(light, 0.9), p99: percentile(light, 0.99) };
  return {
    ...percentiles,
    heavy: percentile(heavy, 0.5),
    throughput: (inTime * 1000) / lastDue,
    failed,
    cpu,
    othersShare,
  };
}

/** CPU time that all processes of the machine have used (seconds). */
function busySeconds() {
  const [user, nice, system, , , irq, softIrq] = readFileSync('/proc/stat', 'latin1')
    .split('\n', 1)[0]
    .split(/ +/)
    .slice(1);
  return [user, nice, system, irq, softIrq].reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
}

function ownSeconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function ms(value) {
  return `${value.toFixed(1)} ms`;
}

function portOf({ pid, url, stop }) {
  return { pid, port: Number(new URL(url).port), stop };
}
