// `npm run bench:queues` (after `npm run build`; Linux): what --accept reuseport is for, and what it must not cost. How many
// times workers wake up for each connection, in each accept mode; and what becomes of clients that wait in the queue of a
// worker that is replaced or killed, or are just being handed to one, at 2,000 connections a second.
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { processTree, wakeUpsOfTree } from '../dist/os/process-tree.js';
import { mpserve, serving, start } from './server.js';

const accepted = fileURLToPath(new URL('apps/accepted.cjs', import.meta.url));
const workerCounts = [2, 8, 32];
const modes = ['shared', 'dispatch', 'reuseport'];
const connections = 500;
const perSecond = 2000;
let visits = 0;

delete process.env.NODE_EXTRA_CA_CERTS;

console.log(`Node ${process.version}\n`);
console.log(`| wake-ups for each connection | ${workerCounts.map((count) => `${count} workers`).join(' | ')} |`);
console.log(`| --- |${' --- |'.repeat(workerCounts.length)}`);
for (const mode of modes) {
  const cells = [];
  for (const workers of workerCounts) cells.push((await wakeUpsPerConnection(mode, workers)).toFixed(1));
  console.log(`| \`${mode}\` | ${cells.join(' | ')} |`);
}

const reuseport = ['--accept', 'reuseport'];
const random = ['--accept', 'dispatch', '--balance', 'random-two'];
console.log('\n| while | connections | failed | never accepted | never read |\n| --- | --- | --- | --- | --- |');
for (const [way, args, times, disturb, lost] of [
  ['reuseport', reuseport, 20, reload, 'unaccepted'],
  ['reuseport', reuseport, 40, kill, 'unaccepted'],
  ['random-two', random, 40, kill, 'unread'],
]) {
  const counts = await disturbed(args, times, disturb);
  const { opened, failed, unaccepted, unread } = counts;
  console.log(`| \`${way}\`, ${times} ${disturb.name}s | ${opened} | ${failed} | ${unaccepted} | ${unread} |`);
  if (counts[lost] > 0) process.exitCode = 1;
}

/** Of all processes, less what they wake up by themselves; one connection at a time, each with one request. */
async function wakeUpsPerConnection(mode, workers) {
  const server = await start(mpserve('--model', 'prefork', '--accept', mode, '--workers', `${workers}`));
  try {
    for (let i = 0; i < connections; i++) await visit(server.port);
    await pause(2000);
    const idle = await wakeUpsDuring(server.pid, () => pause(3000));
    const began = performance.now();
    const busy = await wakeUpsDuring(server.pid, async () => {
      for (let i = 0; i < connections; i++) await visit(server.port);
    });
    return (busy - (idle * (performance.now() - began)) / 3000) / connections;
  } finally {
    await server.stop();
  }
}

async function wakeUpsDuring(pid, work) {
  const before = wakeUpsOfTree(pid);
  await work();
  return wakeUpsOfTree(pid) - before;
}

/**
 * A connection with one request.
 * @returns the client's address, whether it was answered, and whether the kernel reset it, as it does if nobody has read the
 * request
 */
async function visit(port) {
  // One address has ports for half a minute of this.
  const localAddress = `127.0.0.${2 + (visits++ % 16)}`;
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  let client;
  let answer = '';
  let isReset = false;
  socket.on('connect', () => {
    client = `${localAddress}:${socket.localPort}`;
  });
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.on('error', () => {
    isReset = true;
  });
  socket.write('GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
  await once(socket, 'close').catch(() => {});
  return { client, isAnswered: answer.endsWith('Hello, World!'), isReset };
}

/** @param disturb called with the server `times` times, one after another */
async function disturbed(way, times, disturb) {
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-queues-'));
  const file = path.join(folder, 'accepted');
  writeFileSync(file, '');
  process.env.ACCEPTED = file;
  const args = ['--model', 'prefork', '--workers', '4', '--probation', '200ms', ...way];
  const server = await start(serving(accepted, ...args));
  try {
    const opened = [];
    const began = performance.now();
    const opening = setInterval(() => {
      const due = ((performance.now() - began) * perSecond) / 1000;
      while (opened.length < due) opened.push(visit(server.port));
    }, 5);
    for (let i = 0; i < times; i++) {
      await disturb(server);
      await pause(300);
    }
    clearInterval(opening);
    const failed = (await Promise.all(opened)).filter(({ isAnswered }) => !isAnswered);
    const lines = new Set(readFileSync(file, 'utf8').split('\n'));
    const unaccepted = failed.filter(({ client }) => !lines.has(client)).length;
    const unread = failed.filter(({ isReset }) => isReset).length;
    return { opened: opened.length, failed: failed.length, unaccepted, unread };
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true });
  }
}

async function reload({ pid }) {
  process.kill(pid, 'SIGHUP');
  await pause(1500);
}

async function kill({ pid }) {
  const workers = processTree(pid).filter((one) => one.pid !== pid);
  const victim = workers[Math.floor(Math.random() * workers.length)];
  if (victim) process.kill(victim.pid, 'SIGKILL');
}
