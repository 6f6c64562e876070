// `node bench/control-command.js` (after `npm run build`): what `mpserve ctl status` costs, as a whole command, beside a
// `node` that does nothing. Both are measured one right after the other in each round.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { median } from '../dist/bench/summary.js';
import { mpserve, start } from './server.js';

const [bin] = mpserve();
const env = { ...process.env, NODE_EXTRA_CA_CERTS: undefined }; // reading certificates is no part of either

/** @returns of each round the milliseconds of `node -e 0`, and of `mpserve ctl status` */
export async function measure(rounds = 9) {
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-control-'));
  const socket = path.join(folder, 'control');
  const sides = { bare: ['-e', '0'], command: [bin, 'ctl', 'status', '--control', socket] };
  const server = await start(mpserve('--control', socket));
  try {
    return Array.from({ length: rounds }, (_, round) => {
      const names = Object.keys(sides);
      const order = round % 2 ? names : names.reverse();
      return Object.fromEntries(order.map((name) => [name, timeOf(sides[name])]));
    });
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true });
  }
}

function timeOf(args) {
  const began = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { env });
  if (status !== 0) throw new Error(`node ${args.join(' ')} failed: ${stderr}`);
  return performance.now() - began;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const rounds = await measure();
  const words = (figures) => median(figures).toFixed(2);
  console.log(`node -e 0: ${words(rounds.map(({ bare }) => bare))} ms`);
  console.log(`mpserve ctl status: ${words(rounds.map(({ command }) => command))} ms`);
  console.log(`ratio: ${words(rounds.map(({ bare, command }) => command / bare))}`);
}
