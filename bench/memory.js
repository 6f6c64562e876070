// `node bench/memory.js`: the memory of eight Express workers after two seconds of load, beside that of node:cluster with
// eight. Proportional set size (proc(5)) of the whole process tree, the supervisor included; each round starts both anew.
// V8's heap grows with each request, so mpserve is asked as often as node:cluster has answered in its two seconds.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { median } from '../dist/bench/summary.js';
import { memoryOfTree } from '../dist/os/process-tree.js';
import { baseline, isMain, serving, start } from './server.js';

const seconds = 2;
const app = path.join(path.dirname(fileURLToPath(import.meta.url)), 'apps/express.cjs');
const sides = {
  mpserve: serving(app, '--model', 'prefork', '--workers', '8'),
  cluster: baseline('cluster-express'),
};

export const memoryRow = {
  name: 'express-memory',
  title: '8 Express workers after 2 s of load, proportional memory, beside node:cluster',
  unit: 'MB',
  asked: 1.1,
  measure,
};

/** @returns the megabytes of each side in each round */
async function measure(rounds = 5) {
  process.env.NODE_ENV = 'production'; // as mpserve has it
  const figures = { ours: [], theirs: [] };
  for (let round = 1; round <= rounds; round++) {
    const theirs = await memoryAfterLoad(sides.cluster, { duration: seconds });
    const ours = await memoryAfterLoad(sides.mpserve, { amount: theirs.requests });
    figures.theirs.push(theirs.megabytes);
    figures.ours.push(ours.megabytes);
  }
  return figures;
}

async function memoryAfterLoad(command, load) {
  const server = await start(command);
  try {
    const result = await autocannon({ url: `http://127.0.0.1:${server.port}/`, connections: 64, ...load });
    if (result.non2xx > 0 || result['2xx'] === 0) throw new Error(`answered wrongly: ${command.join(' ')}`);
    return { megabytes: memoryOfTree(server.pid) / 1e6, requests: result['2xx'] };
  } finally {
    await server.stop();
  }
}

if (isMain(import.meta.url)) {
  const figures = await measure();
  const ratio = median(figures.ours.map((mine, round) => mine / figures.theirs[round]));
  for (const [name, values] of Object.entries(figures)) {
    console.log(`${name}: ${median(values).toFixed(1)} MB (${values.map((value) => value.toFixed(1)).join(', ')})`);
  }
  console.log(`ratio ${ratio.toFixed(2)}, asked: at most ${memoryRow.asked} (Node ${process.version})`);
  process.exitCode = ratio <= memoryRow.asked ? 0 : 1;
}
