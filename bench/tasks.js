// `npm run bench:tasks [-- SECONDS]`: requests on threads (--unit request) compared with a bare script that runs one piscina
// task a request. Both run at the same time, each with two threads, and each round measures one right after the other over
// 64 kept-alive connections; the order alternates. The result is the median of the ratios. Exits 1 below the bound.
import autocannon from 'autocannon';
import { median } from '../dist/bench/summary.js';
import { cpuSeconds } from '../dist/os/process-tree.js';
import { send } from './load.js';
import { baseline, mpserve, start } from './server.js';

const bound = 1.3;
const rounds = Math.max(3, Number(process.env.ROUNDS) || 9);
const seconds = Number(process.argv[2]) || 2;
const warmUp = 30_000;
delete process.env.NODE_EXTRA_CA_CERTS;

const sides = {
  piscina: await start(baseline('piscina', '2')),
  mpserve: await start(mpserve('--model', 'prethread', '--threads', '2', '--unit', 'request')),
};
const rates = { piscina: [], mpserve: [] };
const cpu = { piscina: [], mpserve: [] };
try {
  for (const server of Object.values(sides)) await send(server, warmUp);
  for (let round = 0; round < rounds; round++) {
    const names = Object.keys(sides);
    for (const name of round % 2 === 0 ? names : names.reverse()) await measure(name);
  }
} finally {
  for (const server of Object.values(sides)) await server.stop();
}
const ratio = median(rates.mpserve.map((rate, i) => rate / rates.piscina[i]));
for (const [name, values] of Object.entries(rates)) {
  console.log(`${name}: ${Math.round(median(values))} requests/s, ${median(cpu[name]).toFixed(1)} µs of CPU each`);
}
console.log(`ratio ${ratio.toFixed(2)} (at least ${bound}), of ${rounds} rounds`);
process.exitCode = ratio >= bound ? 0 : 1;

async function measure(name) {
  const { pid, port } = sides[name];
  const before = cpuSeconds(pid);
  const result = await autocannon({ url: `http://127.0.0.1:${port}/`, connections: 64, duration: seconds });
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${name}: ${result.non2xx} failed, ${result.errors} lost`);
  rates[name].push(result['2xx'] / result.duration);
  cpu[name].push(((cpuSeconds(pid) - before) / result['2xx']) * 1e6);
}
