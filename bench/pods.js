// `node bench/pods.js [ROUNDS [SECONDS [memory | skew]]]`: one pod with N workers beside N pods with one worker each,
// with as many processors. A pod is a server on this machine, and a client chooses the pod of each request as a balancer does.
// Measures memory, and the p99 of light requests beside heavy ones (one in twenty uses 100 ms of CPU time; they come at random at
// a steady rate). All sides of a round get the same requests; the order alternates.
import { request } from 'node:http';
import { setPriority } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { median } from '../dist/bench/summary.js';
import { memoryOfTree } from '../dist/os/process-tree.js';
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

const reports = { memory: reportMemory, skew: reportSkew };
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
      const arrivals = arrivalsAt(rate);
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

/** @returns when each request is due (milliseconds from the first one), and whether it is heavy */
function arrivalsAt(rate) {
  const arrivals = [];
  for (let due = 0; due < seconds * 1000; due += (-Math.log(1 - Math.random()) * 1000) / rate) {
    arrivals.push({ due, isHeavy: Math.random() < heavyShare });
  }
  return arrivals;
}

/** Each request on a connection of its own, whether or not earlier ones have been answered. */
async function send(pods, choose, arrivals) {
  const light = [];
  let failed = 0;
  const began = performance.now();
  const one = async ({ due, isHeavy }) => {
    const pod = choose(pods);
    pod.inFlight++;
    const isDone = await visit(pod.port, isHeavy ? '/heavy' : '/').catch(() => false);
    pod.inFlight--;
    if (!isDone) failed++;
    else if (!isHeavy) light.push(performance.now() - began - due);
  };
  const pending = [];
  for (const arrival of arrivals) {
    const early = began + arrival.due - performance.now();
    if (early > 0) await pause(early);
    pending.push(one(arrival));
  }
  await Promise.all(pending);
  light.sort((a, b) => a - b);
  const part = (share) => light[Math.min(light.length - 1, Math.floor(share * light.length))];
  return { p50: part(0.5), p99: part(0.99), failed };
}

/** @returns whether the response is a 200 */
function visit(port, path) {
  return new Promise((resolve, reject) => {
    const sent = request({ agent: false, port, host: '127.0.0.1', path }, (response) => {
      response
        .resume()
        .once('end', () => resolve(response.statusCode === 200))
        .once('error', reject);
    });
    sent.once('error', reject).end();
  });
}

function ms(value) {
  return `${value.toFixed(1)} ms`;
}
