// `node bench/memory.js`: the memory of eight Express workers after two seconds of load, compared with node:cluster.
// Measures the proportional set size (proc(5)) of the process tree, including the supervisor; each round starts new servers.
// V8's heap grows with each request, so mpserve gets as many requests as node:cluster completed in its two seconds.
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
  cluster: baseline('cluster', '8', app),
};

export const memoryRow = {
  name: 'express-memory',
  title: '8 Express workers after 2 s of load compared with node:cluster, proportional memory',
  unit: 'MB',
  bound: 1.1,
  measure,
};

/** @returns the memory of each side in each round (MB) */
async function measure(rounds = 5) {
  process.env.NODE_ENV = 'production'; // as mpserve sets it
  const memory = { ours: [], theirs: [] };
  for (let round = 1; round <= rounds; round++) {
    const theirs = await memoryAfterLoad(sides.cluster, { duration: seconds });
    const ours = await memoryAfterLoad(sides.mpserve, { amount: theirs.requests });
    memory.theirs.push(theirs.megabytes);
    memory.ours.push(ours.megabytes);
  }
  return memory;
}

async function memoryAfterLoad(command, load) {
  const server = await start(command);
  try {
    const result = await autocannon({ url: `http://127.0.0.1:${server.port}/`, connections: 64, ...load });
    if (result.non2xx > 0 || result['2xx'] === 0) throw new Error(`unexpected responses: ${command.join(' ')}`);
    return { megabytes: memoryOfTree(server.pid) / 1e6, requests: result['2xx'] };
  } finally {
    await server.stop();
  }
}

if (isMain(import.meta.url)) {
  const memory = await measure();
  const ratio = median(memory.ours.map((mb, round) => mb / memory.theirs[round]));
  for (const [name, values] of Object.entries(memory)) {
    console.log(`${name}: ${median(values).toFixed(1)} MB (${values.map((value) => value.toFixed(1)).join(', ')})`);
  }
  console.log(`ratio ${ratio.toFixed(2)}, bound: ${memoryRow.bound} (Node ${process.version})`);
  process.exitCode = ratio <= memoryRow.bound ? 0 : 1;
}
