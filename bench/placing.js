// `npm run bench:placing [ROUNDS]`: what each way of placing connections does for quick requests beside slow ones.
// First, one in twenty requests uses 100 ms of CPU time; all come at random, at a steady rate, each on a new connection. All
// sides are measured in each round, one after another, with the same arrivals. Then one worker is blocked for three seconds.
import { request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { policies } from '../dist/balance/policy.js';
import { baseline, serving, start } from './server.js';

const app = fileURLToPath(new URL('apps/skewed.cjs', import.meta.url));
const rounds = Number(process.argv[2] ?? 3);
const seconds = 8;
const heavyShare = 1 / 20;
/** Of the processor time of two cores, what heavy requests use: 15 % and 30 %. */
const rates = [60, 120];

/** All clients have the same address, and all workers the same weight. */
const dispatching = policies.filter((policy) => policy !== 'ip-hash' && policy !== 'weighted');
const prefork = (workers, ...args) => serving(app, '--model', 'prefork', '--workers', String(workers), ...args);
/** Name and arguments of each way of placing. */
const ways = [
  ['shared', ['--accept', 'shared']],
  ['reuseport', ['--accept', 'reuseport']],
  ...dispatching.map((policy) => [policy, ['--accept', 'dispatch', '--balance', policy]]),
];
const sides = [
  ['node:cluster', (workers) => baseline('cluster', String(workers), app)],
  ...ways.map(([way, args]) => [way, (workers) => prefork(workers, ...args)]),
];

await skewedLoad();
await blockedWorker();

async function skewedLoad() {
  const cells = rates.flatMap((rate) => [2, 4].map((workers) => ({ rate, workers })));
  console.log(
    `| p99 of the quick requests, ms | ${cells.map((cell) => `${cell.rate}/s, ${cell.workers} workers`).join(' | ')} |`,
  );
  console.log(`| --- |${cells.map(() => ' --- |').join('')}`);
  const results = new Map(sides.map(([name]) => [name, cells.map(() => [])]));
  for (let round = 0; round < rounds; round++) {
    for (const [i, { rate, workers }] of cells.entries()) {
      const arrivals = arrivalsAt(rate);
      const order = round % 2 === 0 ? sides : sides.toReversed();
      for (const [name, command] of order) {
        process.stderr.write(`round ${round + 1} of ${rounds}: ${rate}/s, ${workers} workers, ${name}\n`);
        const latencies = await withServer(command(workers), (port) => send(port, arrivals));
        results.get(name)[i].push(...latencies);
      }
    }
  }
  for (const [name, ofCells] of results) {
    console.log(`| ${name} | ${ofCells.map((latencies) => percentile(latencies, 0.99).toFixed(1)).join(' | ')} |`);
  }
}

async function blockedWorker() {
  const hybrid = ['--model', 'hybrid', '--workers', '1', '--threads', '2'];
  const models = [
    ['prefork', ['--model', 'prefork', '--workers', '2']],
    ['prethread', ['--model', 'prethread', '--threads', '2']],
    ['hybrid 1 × 2', hybrid],
  ];
  console.log(
    '\n| of 1,000 quick requests, those that waited for a blocked worker; the slowest | ways |\n| --- | --- |',
  );
  const blocked = [
    ['node:cluster', baseline('cluster', '2', app)],
    ...models.flatMap(([model, size]) =>
      ways.map(([way, args]) => [`${model}, ${way}`, serving(app, ...size, ...args)]),
    ),
  ];
  for (const [name, command] of blocked) {
    const latencies = await withServer(command, async (port) => {
      const blocking = latencyOf(port, '/block');
      await pause(100);
      const times = [];
      const jobs = Array.from({ length: 4 }, async () => {
        while (times.length < 1000) times.push(await latencyOf(port, '/'));
      });
      await Promise.all([...jobs, blocking]);
      return times;
    });
    const waited = latencies.filter((ms) => ms > 250);
    console.log(`| ${name} | ${waited.length} of ${latencies.length}; ${Math.max(...latencies).toFixed(0)} ms |`);
  }
}

async function withServer(command, measure) {
  const server = await start(command);
  try {
    for (let i = 0; i < 200; i++) await latencyOf(server.port, '/'); // warms up
    return await measure(server.port);
  } finally {
    await server.stop();
  }
}

/** @returns when each request is due (milliseconds from the first one), and whether it is heavy */
function arrivalsAt(rate) {
  const arrivals = [];
  for (let due = 0; due < seconds * 1000; due += (-Math.log(1 - Math.random()) * 1000) / rate) {
    arrivals.push({ due, isHeavy: Math.random() < heavyShare });
  }
  return arrivals;
}

/** @returns the latencies of the quick requests (milliseconds), from when each was due */
async function send(port, arrivals) {
  const latencies = [];
  const pending = [];
  const began = performance.now();
  for (const { due, isHeavy } of arrivals) {
    const early = began + due - performance.now();
    if (early > 0) await pause(early);
    pending.push(
      latencyOf(port, isHeavy ? '/heavy' : '/', began + due).then((ms) => {
        if (!isHeavy) latencies.push(ms);
      }),
    );
  }
  await Promise.all(pending);
  return latencies;
}

function latencyOf(port, path, due = performance.now()) {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', path, agent: false }, (response) => {
      response.resume().once('end', () => resolve(performance.now() - due));
    });
    sent.once('error', reject).end();
  });
}

function percentile(values, part) {
  return values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(part * values.length))];
}
