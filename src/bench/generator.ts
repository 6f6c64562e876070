// The load generator: a process of its own that is given one job over IPC, does it, answers with a report and ends.
import { closedLoop } from './closed-loop.js';
import { oneEach } from './connection-per-request.js';
import { hold } from './idle-connections.js';
import type { Job, Report } from './job.js';
import { openLoop } from './open-loop.js';
import { Tally } from './tally.js';

process.once('message', (job: Job) => void run(job));
process.once('disconnect', () => process.exit(1)); // whoever wanted it is gone
process.on('SIGINT', () => {}); // Ctrl-C is for the parent, which ends this process

async function run(job: Job): Promise<void> {
  const tally = new Tally();
  const before = performance.eventLoopUtilization();
  const { seconds, held } = await drive(job, tally);
  const { utilization } = performance.eventLoopUtilization(before);
  const report: Report = {
    ...tally.report(seconds),
    utilisation: utilization,
    ...(held === undefined ? {} : { held }),
  };
  process.send?.(report, () => process.exit(0));
}

async function drive(job: Job, tally: Tally): Promise<{ seconds: number; held?: number }> {
  switch (job.load.kind) {
    case 'closed':
      return { seconds: await closedLoop(job, tally) };
    case 'one-each':
      return { seconds: await oneEach(job, tally) };
    case 'open':
      return { seconds: await openLoop(job, job.load, tally) };
    case 'idle':
      return hold(job, tally);
  }
}
