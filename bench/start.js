// `node bench/start.js` (after `npm run build`): how long prefork with two workers takes from start to ready, beside
// node:cluster, in wall-clock time and in CPU time of the process tree. The sides take turns; the second figure is the
// steadier one where the machine has other work.
import { median } from '../dist/bench/summary.js';
import { cpuSeconds } from '../dist/os/process-tree.js';
import { baseline, isMain, mpserve, start } from './server.js';

const sides = { ours: mpserve('--model', 'prefork', '--workers', '2'), theirs: baseline('cluster') };

export const startRow = {
  name: 'prefork-boot',
  title: 'prefork, 2 workers, start to ready',
  unit: 'ms',
  asked: 1.5,
  measure: async (rounds) => (await measure(2 * rounds)).wallMs,
};

/** Reads no certificates of NODE_EXTRA_CA_CERTS, which is no part of either. @returns `wallMs` and `cpuMs` of each side in each round */
async function measure(rounds = 18) {
  delete process.env.NODE_EXTRA_CA_CERTS;
  const figures = { wallMs: { ours: [], theirs: [] }, cpuMs: { ours: [], theirs: [] } };
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 ? ['ours', 'theirs'] : ['theirs', 'ours']) {
      const server = await start(sides[name]);
      figures.wallMs[name].push(server.bootMs);
      figures.cpuMs[name].push(cpuSeconds(server.pid) * 1000);
      await server.stop();
    }
  }
  return figures;
}

if (isMain(import.meta.url)) {
  console.log('| | mpserve | node:cluster | ratio |\n| --- | --- | --- | --- |');
  for (const [what, { ours, theirs }] of Object.entries(await measure())) {
    const ratio = median(ours.map((mine, round) => mine / theirs[round]));
    console.log(`| ${what} | ${median(ours).toFixed(0)} | ${median(theirs).toFixed(0)} | ${ratio.toFixed(2)} |`);
  }
}
