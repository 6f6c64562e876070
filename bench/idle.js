// `node bench/idle.js`: how often an idle server wakes up after it has served requests. Counts the wake-ups of all threads of
// the process tree; each one can keep a processor from a deeper sleep state.
import { setTimeout as pause } from 'node:timers/promises';
import { wakeUpsOfTree } from '../dist/os/process-tree.js';
import { send } from './load.js';
import { baseline, isMain, mpserve, start } from './server.js';

/** Until V8 has collected its garbage after the load: several steps in each process, eight seconds apart. */
const settleMs = 100_000;
const seconds = 20;

const row = (workers, bound) => ({
  name: `idle-${workers}`,
  title: `idle prefork, ${workers} workers`,
  unit: 'wake-ups/s',
  bound,
  measure: async () => ({ ours: [await wakeUpsWhenIdle(mpserve('--model', 'prefork', '--workers', `${workers}`))] }),
});
export const idleRows = [row(2, 1), row(8, 2)];

/** @returns wake-ups per second */
async function wakeUpsWhenIdle(command) {
  const server = await start(command);
  try {
    await send(server, 2000);
    await pause(settleMs);
    const before = wakeUpsOfTree(server.pid);
    await pause(seconds * 1000);
    return (wakeUpsOfTree(server.pid) - before) / seconds;
  } finally {
    await server.stop();
  }
}

if (isMain(import.meta.url)) {
  console.log(`bare node:http: ${(await wakeUpsWhenIdle(baseline('bare'))).toFixed(2)} wake-ups/s`);
  for (const { title, unit, bound, measure } of idleRows) {
    const [count] = (await measure()).ours;
    console.log(`${title}: ${count.toFixed(2)} ${unit}, bound: ${bound} (Node ${process.version})`);
    if (count > bound) process.exitCode = 1;
  }
}
