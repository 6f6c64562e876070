// `node bench/start.js` (after `npm run build`): how long prefork with two workers takes from start to ready, beside
// node:cluster, in wall-clock time and in CPU time of the process tree. The sides take turns; the second figure is the
// steadier one where the machine has other work.
import { fileURLToPath } from 'node:url';
import { median } from '../dist/bench/summary.js';
import { cpuSeconds } from '../dist/os/process-tree.js';
import { baseline, mpserve, start } from './server.js';

const sides = { mpserve: mpserve('--model', 'prefork', '--workers', '2'), cluster: baseline('cluster') };

/** Reads no certificates of NODE_EXTRA_CA_CERTS, which is no part of either. @returns of each round, each side's `wallMs` and `cpuMs` */
export async function measure(rounds = 9) {
  delete process.env.NODE_EXTRA_CA_CERTS;
  const figures = [];
  for (let round = 0; round < rounds; round++) {
    const figure = {};
    for (const name of round % 2 ? ['mpserve', 'cluster'] : ['cluster', 'mpserve']) {
      const server = await start(sides[name]);
      figure[name] = { wallMs: server.bootMs, cpuMs: cpuSeconds(server.pid) * 1000 };
      await server.stop();
    }
    figures.push(figure);
  }
  return figures;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const rounds = await measure();
  console.log('| | mpserve | node:cluster | ratio |\n| --- | --- | --- | --- |');
  for (const key of ['wallMs', 'cpuMs']) {
    const of = (name) => median(rounds.map((round) => round[name][key])).toFixed(0);
    const ratio = median(rounds.map(({ mpserve, cluster }) => mpserve[key] / cluster[key])).toFixed(2);
    console.log(`| ${key} | ${of('mpserve')} | ${of('cluster')} | ${ratio} |`);
  }
}
