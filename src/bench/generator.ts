// The load generator's process: receives one job over IPC, generates the load, and sends a report.
import { closedLoop } from './closed-loop.js';
import { connectionPerRequest } from './connection-per-request.js';
import { idleConnections } from './idle-connections.js';
import type { Job, Report } from './job.js';
import { openLoop } from './open-loop.js';
import { Tally } from './tally.js';

process.once('message', (job: Job) => void run(job));
process.once('disconnect', () => process.exit(1)); // the parent has exited
process.on('SIGINT', () => {}); // the parent handles Ctrl-C and kills this process

async function run(job: Job): Promise<void> {
  const tally = new Tally();
  const before = performance.eventLoopUtilization();
  const { seconds, ...facts } = await generateLoad(job, tally);
  const { utilization } = performance.eventLoopUtilization(before);
  process.send?.({ ...tally.report(seconds), utilisation: utilization, ...facts } satisfies Report);
}

async function generateLoad(job: Job, tally: Tally): Promise<{ seconds: number; held?: number; inTime?: number }> {
  switch (job.load.kind) {
    case 'closed':
      return { seconds: await closedLoop(job, tally) };
    case 'connection-per-request':
      return { seconds: await connectionPerRequest(job, tally) };
    case 'open':
      return openLoop(job, job.load, tally);
    case 'idle':
      return idleConnections(job, tally);
  }
}
