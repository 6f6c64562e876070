// `node bench/admin-idle.js`: the processor time that the supervisor of eight idle workers takes with --admin, as a part of
// one processor: while nobody looks, and while a dashboard is open.
import { mkdtempSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { cpuOfThreads } from '../dist/os/process-tree.js';
import { send } from './load.js';
import { mpserve, start } from './server.js';

/** Until what the start and the first requests leave behind is done. */
const settleMs = 20_000;
const seconds = 60;
const bounds = { closed: 0.002, open: 0.02 };

delete process.env.NODE_EXTRA_CA_CERTS;
const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-bench-'));
const socketPath = path.join(folder, 'admin');
const server = await start(mpserve('--model', 'prefork', '--workers', '8', '--admin', `unix:${socketPath}`));
try {
  await send(server, 2000);
  await pause(settleMs);
  report('closed', await partOfProcessor());
  const page = get({ socketPath, path: '/live' }, (response) => response.resume());
  page.on('error', () => {}); // it is cut at the end
  await pause(settleMs);
  report('open', await partOfProcessor());
  page.destroy();
} finally {
  await server.stop();
  rmSync(folder, { recursive: true });
}

async function partOfProcessor() {
  const before = nanoseconds();
  await pause(seconds * 1000);
  return (nanoseconds() - before) / (seconds * 1e9);
}

function nanoseconds() {
  return [...cpuOfThreads(server.pid).values()].reduce((sum, one) => sum + one, 0);
}

function report(page, part) {
  const isMet = part <= bounds[page];
  const [percent, bound] = [part, bounds[page]].map((one) => (100 * one).toFixed(2));
  console.log(`dashboard ${page}: ${percent} % of a processor, bound ${bound} %${isMet ? '' : ': EXCEEDED'}`);
  if (!isMet) process.exitCode = 1;
}
