// `node bench/pods.js [ROUNDS [SECONDS [memory | skew | crash]]]`: one pod with N workers beside N pods with one worker each,
// with as many processors. A pod is a server on this machine, and a client chooses the pod of each request as a balancer does.
// Measures memory; the p99 of light requests beside heavy ones (one in twenty uses 100 ms of CPU time; they come at random at
// a steady rate), where all sides of a round get the same requests and the order alternates; and what a crash costs.
import { setPriority } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { median } from '../dist/bench/summary.js';
import { memoryOfTree, processTree } from '../dist/os/process-tree.js';
import { arrivalsAt, percentile, sendWhenDue, visit } from './arrivals.js';
import { baseline, serving, start } from './server.js';

const [roundsGiven = '5', secondsGiven = '8', ...only] = process.argv.slice(2);
const rounds = Number(roundsGiven);
const seconds = Number(secondsGiven);
const appPath = (name) => fileURLToPath(new URL(`apps/${name}`, import.meta.url));
const skewed = appPath('skewed.cjs');
const express = appPath('express.cjs');
const heavyShare = 1 / 20;
/** Of two cores this takes 17 %. */
const rates = [60];
/** Any number of requests may wait, for any time, as on the other sides. */
const noRefusals = ['--queue-max', '100000', '--queue-timeout', '1h'];
delete process.env.NODE_EXTRA_CA_CERTS;
process.env.NODE_ENV = 'production'; // as mpserve sets it

/** Which of `pods` gets a request. */
const balancers = {
  only: (pods) => pods[0],
  // As kube-proxy chooses the pod of a connection.
  random: (pods) => pods[Math.floor(Math.random() * pods.length)],
  'round robin': (pods) => pods[turn++ % pods.length],
  // As one ingress does that has all requests; several know only of their own.
  'fewest in flight': (pods) => pods.reduce((least, pod) => (pod.inFlight < least.inFlight ? pod : least)),
};
let turn = 0;

const oneOfTwo = { pods: 1, args: ['--model', 'prefork', '--workers', '2'] };
const twoOfOne = { pods: 2, args: ['--model', 'prefork', '--workers', '1'] };
const sides = [
  { name: '1 pod, 2 workers', ...oneOfTwo, choose: 'only' },
  {
    name: '1 pod, 4 threads, `--unit request`',
    pods: 1,
    args: ['--model', 'prethread', '--unit', 'request', '--threads', '4', ...noRefusals],
    choose: 'only',
  },
  { name: '2 pods, 1 worker', ...twoOfOne, choose: 'random' },
  { name: '2 pods, 1 worker', ...twoOfOne, choose: 'round robin' },
  { name: '2 pods, 1 worker', ...twoOfOne, choose: 'fewest in flight' },
];

const waiting = appPath('wait.cjs');
const crashRate = 200;
/** What dies after a second: a worker, which mpserve replaces, or a pod, which is started again at once. */
const crashes = [
  { name: '1 pod, 2 workers', dies: 'a worker', pods: 1, command: serving(waiting, ...oneOfTwo.args) },
  { name: '2 pods, 1 worker', dies: 'a worker', pods: 2, command: serving(waiting, ...twoOfOne.args) },
  { name: '1 pod, 2 workers', dies: 'the pod', pods: 1, command: serving(waiting, ...oneOfTwo.args) },
  { name: '2 pods, 1 worker', dies: 'a pod', pods: 2, command: serving(waiting, ...twoOfOne.args) },
  { name: '2 pods of plain `node`', dies: 'a pod', pods: 2, command: baseline('bare', waiting) },
];

const reports = { memory: reportMemory, skew: reportSkew, crash: reportCrashes };
for (const [name, report] of Object.entries(reports)) if (only.length === 0 || only.includes(name)) await report();

async function reportMemory() {
  console.log('| workers | 1 pod with all | a pod each | node alone, a pod each |\n| --- | --- | --- | --- |');
  for (const workers of [1, 2, 4, 8]) {
    const own = await memoryOf([serving(express, '--model', 'prefork', '--workers', String(workers))]);
    const each = await memoryOf(Array(workers).fill(serving(express, '--model', 'prefork', '--workers', '1')));
    const node = await memoryOf(Array(workers).fill(baseline('bare', express)));
    console.log(`| ${workers} | ${[own, each, node].map((bytes) => `${(bytes / 1e6).toFixed(0)} MB`).join(' | ')} |`);
  }
}

/** Proportional memory of all their processes, after each has answered a hundred requests (bytes). */
async function memoryOf(commands) {
  const servers = await Promise.all(commands.map(start));
  for (const { port } of servers) for (let i = 0; i < 100; i++) await visit(port, '/');
  const bytes = servers.reduce((sum, { pid }) => sum + memoryOfTree(pid), 0);
  await Promise.all(servers.map((server) => server.stop()));
  return bytes;
}

async function reportSkew() {
  const running = new Map();
  for (const side of sides) {
    const pods = await Promise.all(Array.from({ length: side.pods }, () => start(serving(skewed, ...side.args))));
    for (const pod of pods) pod.inFlight = 0;
    running.set(side, pods);
  }
  // The clients are to be neither slowed down by the servers, nor seen in what these take.
  setPriority(process.pid, -10);
  for (const rate of rates) {
    const results = new Map(sides.map((side) => [side, []]));
    for (let round = 0; round < rounds; round++) {
      const arrivals = arrivalsAt(rate, seconds, heavyShare);
      for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
        process.stderr.write(`${rate}/s, round ${round + 1} of ${rounds}: ${side.name}, ${side.choose}\n`);
        results.get(side).push(await send(running.get(side), balancers[side.choose], arrivals));
        await pause(200);
      }
    }
    console.log(`\n${rate} requests/s, ${rounds} rounds of ${seconds} s\n`);
    console.log('| side | chosen by | light: p50 | p99 (of rounds) | failed |\n| --- | --- | --- | --- | --- |');
    for (const [{ name, choose }, ofSide] of results) {
      const p99s = ofSide.map(({ p99 }) => p99);
      const failed = ofSide.reduce((sum, one) => sum + one.failed, 0);
      const spread = `${ms(Math.min(...p99s))} to ${ms(Math.max(...p99s))}`;
      console.log(
        `| ${[name, choose, ms(median(ofSide.map(({ p50 }) => p50))), `${ms(median(p99s))} (${spread})`, failed].join(' | ')} |`,
      );
    }
  }
  setPriority(process.pid, 0);
  for (const pods of running.values()) for (const pod of pods) await pod.stop();
}

async function reportCrashes() {
  console.log(`\n${crashRate} requests/s, which take 20 ms, ${rounds} rounds\n`);
  console.log('| side | what dies | failed requests | failures for |\n| --- | --- | --- | --- |');
  for (const crash of crashes) {
    const results = [];
    for (let round = 0; round < rounds; round++) results.push(await crashOnce(crash));
    const spread = (values, write) =>
      `${write(median(values))} (${write(Math.min(...values))} to ${write(Math.max(...values))})`;
    const failed = spread(
      results.map((one) => one.failed),
      (count) => count.toFixed(0),
    );
    const lasted = spread(
      results.map((one) => one.lasted),
      ms,
    );
    console.log(`| ${[crash.name, crash.dies, failed, lasted].join(' | ')} |`);
  }
}

/** @returns how many requests failed, and how long after the death the last one of these was sent (milliseconds) */
async function crashOnce({ dies, pods: count, command }) {
  const pods = await Promise.all(Array.from({ length: count }, () => start(command)));
  for (const { port } of pods) await Promise.all(Array.from({ length: 100 }, () => visit(port, '/')));
  const failures = [];
  let diedAt = Number.POSITIVE_INFINITY;
  let restarted;
  const kill = () => {
    const [{ pid }] = pods;
    const workers = processTree(pid).flatMap((process) => (process.pid === pid ? [] : [process.pid]));
    diedAt = performance.now();
    for (const target of dies === 'a worker' ? workers.slice(0, 1) : [pid, ...workers]) process.kill(target, 'SIGKILL');
    if (dies !== 'a worker') restarted = start(command).then((pod) => (pods[0] = pod));
  };
  const arrivals = Array.from({ length: (crashRate * seconds) / 2 }, (_, i) => ({ due: (i * 1000) / crashRate }));
  await sendWhenDue(arrivals, performance.now(), async ({ due }) => {
    if (due === 1000) kill();
    const sentAt = performance.now();
    if (!(await visit(balancers.random(pods).port, '/'))) failures.push(sentAt);
  });
  await restarted;
  await Promise.all(pods.map((pod) => pod.stop()));
  return { failed: failures.length, lasted: Math.max(0, Math.max(...failures, diedAt) - diedAt) };
}

/** Each request on a connection of its own, whether or not earlier ones have been answered. */
async function send(pods, choose, arrivals) {
  const light = [];
  let failed = 0;
  const began = performance.now();
  const one = async ({ due, isHeavy }) => {
    const pod = choose(pods);
    pod.inFlight++;
    const isDone = await visit(pod.port, isHeavy ? '/heavy' : '/');
    pod.inFlight--;
    if (!isDone) failed++;
    else if (!isHeavy) light.push(performance.now() - began - due);
  };
  await sendWhenDue(arrivals, began, one);
  return { p50: percentile(light, 0.5), p99: percentile(light, 0.99), failed };
}

function ms(value) {
  return `${value.toFixed(1)} ms`;
}
