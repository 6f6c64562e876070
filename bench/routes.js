// `npm run bench:routes [-- SECONDS]`: what routes isolate, and what they cost. First the latency of quick requests alone and
// while `/heavy`, 100 ms of processor time each, is asked for by more clients than its workers can answer: with routes, and
// without. A third time another process uses a core instead, which says what of that the machine does. Then the CPU per request of 13 bytes through a route, and without routes. Sides and orders alternate.
import { spawn } from 'node:child_process';
import { Agent, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { median } from '../dist/bench/summary.js';
import { cpuPerRequest, send } from './load.js';
import { isMain, mpserve, serving, start } from './server.js';

const app = fileURLToPath(new URL('apps/skewed.cjs', import.meta.url));
const seconds = Number(process.argv[2]) || 4;
const rounds = Math.max(3, Number(process.env.ROUNDS) || 9);
const perSecond = 200;
const heavyClients = 4;
const routed = [
  '--workers',
  '1',
  '--routes',
  JSON.stringify([
    { match: '/heavy', workers: 1 },
    { match: '*', workers: 1 },
  ]),
];
/** It ends by itself. */
const busyLoop = `for (const end = Date.now() + 60_000; Date.now() < end; );`;
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
delete process.env.NODE_EXTRA_CA_CERTS;

if (isMain(import.meta.url)) {
  await isolation();
  await cost();
}

async function isolation() {
  const sides = {
    'with routes': await start(serving(app, ...routed)),
    'prefork of two': await start(serving(app, '--workers', '2')),
  };
  const p99 = Object.fromEntries(Object.keys(sides).map((name) => [name, { alone: [], beside: [], busy: [] }]));
  try {
    for (let round = 0; round < rounds; round++) {
      for (const [name, { port }] of inTurn(Object.entries(sides), round)) {
        for (const kind of inTurn(['alone', 'beside', 'busy'], round)) {
          process.stderr.write(`round ${round + 1} of ${rounds}: ${name}, ${kind}\n`);
          const other = kind === 'busy' && spawn(process.execPath, ['-e', busyLoop]);
          p99[name][kind].push(await quickBeside(port, kind === 'beside' ? heavyClients : 0));
          if (other) other.kill();
        }
      }
    }
  } finally {
    for (const { stop } of Object.values(sides)) await stop();
  }
  const words = (times) =>
    `${median(times).toFixed(1)} (${Math.min(...times).toFixed(1)} to ${Math.max(...times).toFixed(1)})`;
  console.log(
    '| p99 of quick requests, ms | alone | beside /heavy | beside a busy process |\n| --- | --- | --- | --- |',
  );
  for (const [name, { alone, beside, busy }] of Object.entries(p99))
    console.log(`| ${name} | ${words(alone)} | ${words(beside)} | ${words(busy)} |`);
}

/** @returns the p99 of the quick requests, each from the time at which it was due (milliseconds) */
async function quickBeside(port, heavy) {
  const over = { is: false };
  const busy = Array.from({ length: heavy }, async () => {
    while (!over.is) await ask(port, '/heavy');
  });
  if (heavy > 0) await pause(300);
  const times = [];
  const asked = [];
  const began = performance.now();
  for (let i = 0; i < seconds * perSecond; i++) {
    const due = began + (i * 1000) / perSecond;
    const early = due - performance.now();
    if (early > 0) await pause(early);
    asked.push(ask(port, '/').then(() => times.push(performance.now() - due)));
  }
  await Promise.all(asked);
  over.is = true;
  await Promise.all(busy);
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.99)];
}

async function ask(port, path) {
  await new Promise((resolve, reject) => {
    request({ port, path, agent }, (response) => response.resume().once('end', resolve).once('error', reject))
      .once('error', reject)
      .end();
  });
}

async function cost() {
  const sides = {
    'through a route': await start(mpserve('--workers', '1', '--routes', JSON.stringify([{ match: '*', workers: 1 }]))),
    'without routes': await start(mpserve('--workers', '1')),
  };
  const cpu = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
  try {
    for (const server of Object.values(sides)) await send(server, 20_000);
    for (let round = 0; round < rounds; round++)
      for (const [name, server] of inTurn(Object.entries(sides), round)) cpu[name].push(await cpuPerRequest(server, 2));
  } finally {
    for (const { stop } of Object.values(sides)) await stop();
  }
  const [through, without] = Object.values(cpu).map(median);
  console.log(`\nCPU per request: ${through.toFixed(1)} µs through a route, ${without.toFixed(1)} µs without routes`);
}

function inTurn(list, round) {
  return round % 2 === 0 ? list : list.toReversed();
}
