// What compressing rotated logs costs those that are served meanwhile: the latency of requests at a fixed rate, and how
// long the supervisor takes to answer, with --log-compress and without. `npm run bench:rotation`.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import autocannon from 'autocannon';
import { median } from '../dist/bench/summary.js';
import { mpserve, start } from './server.js';

const rounds = Math.max(3, Number(process.env.ROUNDS) || 5);
const seconds = Math.max(2, Number(process.env.SECONDS) || 5);
/** Requests a second, of which each writes a line of 500 bytes: a file is full in less than a second. */
const rate = 4000;
const query = 'x'.repeat(300);
delete process.env.NODE_EXTRA_CA_CERTS;
const scratch = mkdtempSync(path.join(tmpdir(), 'mpserve-rotation-'));
const sides = [
  ['without', []],
  ['with', ['--log-compress']],
].map(([name, args]) => {
  const folder = mkdtempSync(path.join(scratch, name));
  const control = path.join(folder, 'ctl');
  const log = ['--access-log', path.join(folder, 'access.log'), '--log-rotate', '1M', '--log-keep', '1000'];
  return {
    name,
    folder,
    control,
    command: mpserve('--workers', '2', '--control', control, ...log, ...args),
    values: [],
  };
});

try {
  for (const side of sides) side.server = await start(side.command);
  for (let round = 0; round < rounds + 1; round++)
    for (const side of round % 2 ? sides : [...sides].reverse()) {
      const value = await measure(side);
      if (round > 0) side.values.push(value); // the first one warms up
    }
  console.log(
    `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}, ${rounds} rounds of ${seconds} s, medians\n`,
  );
  console.log('| --log-compress | p50 | p99 | supervisor p50 | supervisor p99 | files rotated | compressed |');
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  for (const { name, folder, values } of sides) {
    const cells = ['p50', 'p99', 'own50', 'own99'].map(
      (key) => `${median(values.map((one) => one[key])).toFixed(2)} ms`,
    );
    const files = readdirSync(folder).filter((file) => file.startsWith('access.log-'));
    const compressed = files.filter((file) => file.endsWith('.gz'));
    console.log(`| ${name} | ${cells.join(' | ')} | ${files.length} | ${compressed.length} |`);
  }
} finally {
  for (const { server } of sides) await server?.stop();
  rmSync(scratch, { recursive: true });
}

async function measure({ server, control }) {
  let isOver = false;
  const times = [];
  const asking = (async () => {
    while (!isOver) {
      const began = performance.now();
      await status(control);
      times.push(performance.now() - began);
      await pause(20);
    }
  })();
  const load = { connections: 32, duration: seconds, overallRate: rate };
  const { latency } = await autocannon({ url: `http://127.0.0.1:${server.port}/?${query}`, ...load });
  isOver = true;
  await asking;
  times.sort((a, b) => a - b);
  const at = (part) => times[Math.floor(times.length * part)];
  return { p50: latency.p50, p99: latency.p99, own50: at(0.5), own99: at(0.99) };
}

function status(socketPath) {
  return new Promise((done, failed) => {
    request({ socketPath, path: '/status' }, (response) => response.resume().on('end', done))
      .on('error', failed)
      .end();
  });
}
