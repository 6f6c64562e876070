// One measurement: forks a load generator that loads a running target, and meters the target meanwhile.
import { fileURLToPath } from 'node:url';
import { hasProc } from '../os/process-tree.js';
import { LoadProcess } from '../testbed/load-process.js';
import { coolDown } from './cool-down.js';
import type { Job, Report } from './job.js';
import { Meter, type Reading } from './meter.js';
import type { Round } from './results.js';
import type { RunningTarget } from './target.js';

const entry = fileURLToPath(new URL('../bench/generator.js', import.meta.url));

/** @throws Error when the generator exits without a report, or `signal` is aborted */
export async function measure(server: RunningTarget, job: Omit<Job, 'origin'>, signal: AbortSignal): Promise<Round> {
  const meter = hasProc ? new Meter(server) : undefined;
  let report: Report;
  let reading: Reading | undefined;
  try {
    report = await generate({ ...job, origin: server.origin }, signal);
  } finally {
    reading = meter?.stop();
  }
  await coolDown(server.pid, signal);
  const { requests, seconds, latencyMs, errors, held, utilisation } = report;
  const growth = reading && Math.max(0, reading.peakMemoryBytes - reading.memoryBefore);
  return {
    requests,
    requestsPerSecond: requests / seconds,
    latencyMs,
    errors,
    cpuMicrosPerRequest: reading && requests > 0 ? (reading.cpuSeconds * 1e6) / requests : undefined,
    peakMemoryBytes: reading?.peakMemoryBytes,
    connectionsHeld: held,
    memoryPerConnectionBytes: held === undefined || growth === undefined ? undefined : growth / Math.max(1, held),
    unfairness: hasFairness(server, job) ? reading?.unfairness : undefined,
    generatorUtilisation: utilisation,
  };
}

/** With few connections per worker, chance decides which worker gets them, so fairness means nothing. */
function hasFairness({ workers, threads }: RunningTarget, { connections }: Pick<Job, 'connections'>): boolean {
  return connections >= 4 * workers * threads;
}

async function generate(job: Job, signal: AbortSignal): Promise<Report> {
  signal.throwIfAborted();
  const generator = new LoadProcess<Job>(entry, (reason) => `the load generator exited with ${reason}`, signal);
  try {
    return await generator.ask(job);
  } finally {
    generator.kill();
  }
}
