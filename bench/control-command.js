// `node bench/control-command.js` (after `npm run build`): the run time of the command `mpserve ctl status`, compared with
// an empty `node -e 0`. Each round measures both, one right after the other.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { median } from '../dist/bench/summary.js';
import { isMain, mpserve, start } from './server.js';

const [bin] = mpserve();
const env = { ...process.env, NODE_EXTRA_CA_CERTS: undefined }; // both would spend time on reading certificates

export const controlRow = {
  name: 'ctl-status',
  title: '`mpserve ctl status` compared with `node -e 0`, run time',
  unit: 'ms',
  bound: 2,
  measure,
};

/** @returns the run time of each side in each round (milliseconds) */
async function measure(rounds = 9) {
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-control-'));
  const socket = path.join(folder, 'control');
  const sides = { theirs: ['-e', '0'], ours: [bin, 'ctl', 'status', '--control', socket] };
  const times = { ours: [], theirs: [] };
  const server = await start(mpserve('--control', socket));
  try {
    for (let round = 0; round < rounds; round++) {
      const names = Object.keys(sides);
      for (const name of round % 2 ? names : names.reverse()) times[name].push(timeOf(sides[name]));
    }
    return times;
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

if (isMain(import.meta.url)) {
  const { ours, theirs } = await measure();
  console.log(`node -e 0: ${median(theirs).toFixed(2)} ms`);
  console.log(`mpserve ctl status: ${median(ours).toFixed(2)} ms`);
  console.log(`ratio: ${median(ours.map((ms, round) => ms / theirs[round])).toFixed(2)}`);
}
