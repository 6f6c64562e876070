// `node bench/start.js` (after `npm run build`): the boot time of prefork with two workers compared with node:cluster, in
// wall-clock time and in CPU time of the process tree. The sides alternate. On a busy machine CPU time varies less.
import { median } from '../dist/bench/summary.js';
import { cpuSeconds } from '../dist/os/process-tree.js';
import { baseline, isMain, mpserve, start } from './server.js';

const sides = { ours: mpserve('--model', 'prefork', '--workers', '2'), theirs: baseline('cluster') };

export const startRow = {
  name: 'prefork-boot',
  title: 'prefork, 2 workers, boot time',
  unit: 'ms',
  bound: 1.5,
  measure: async (rounds) => (await measure(2 * rounds)).wallMs,
};

/** @returns `wallMs` and `cpuMs` of each side in each round */
async function measure(rounds = 18) {
  delete process.env.NODE_EXTRA_CA_CERTS; // both sides would spend time on reading certificates
  const times = { wallMs: { ours: [], theirs: [] }, cpuMs: { ours: [], theirs: [] } };
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 ? ['ours', 'theirs'] : ['theirs', 'ours']) {
      const server = await start(sides[name]);
      times.wallMs[name].push(server.bootMs);
      times.cpuMs[name].push(cpuSeconds(server.pid) * 1000);
      await server.stop();
    }
  }
  return times;
}

if (isMain(import.meta.url)) {
  console.log('| | mpserve | node:cluster | ratio |\n| --- | --- | --- | --- |');
  for (const [name, { ours, theirs }] of Object.entries(await measure())) {
    const ratio = median(ours.map((ms, round) => ms / theirs[round]));
    console.log(`| ${name} | ${median(ours).toFixed(0)} | ${median(theirs).toFixed(0)} | ${ratio.toFixed(2)} |`);
  }
}
