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
  signal.throwIfAborted();
  const meter = hasProc ? new Meter(server) : undefined;
  const generator = new LoadProcess<Job>(entry, (reason) => `the load generator exited with ${reason}`, signal);
  let report: Report;
  let reading: Reading | undefined;
  try {
    report = await generator.ask<Report>({ ...job, origin: server.origin });
  } finally {
    reading = meter?.stop();
    generator.kill();
  }
  await coolDown(server.pid, signal);
  const { requests, inTime = requests, seconds, latencyMs, errors, held, utilisation } = report;
  // Requests that do not count need CPU time as well.
  const countsAll = job.load.kind !== 'open' || (job.load.every ?? job.load.background) === undefined;
  const growth = reading && Math.max(0, reading.peakMemoryBytes - reading.memoryBefore);
  // With few connections per worker, chance decides which worker gets them, so fairness means nothing.
  const hasFairness = job.connections >= 4 * server.workers * server.threads;
  return {
    requests,
    requestsPerSecond: inTime / seconds,
    latencyMs,
    errors,
    cpuMicrosPerRequest: reading && countsAll && requests > 0 ? (reading.cpuSeconds * 1e6) / requests : undefined,
    peakMemoryBytes: reading?.peakMemoryBytes,
    connectionsHeld: held,
    memoryPerConnectionBytes: held === undefined || growth === undefined ? undefined : growth / Math.max(1, held),
    unfairness: hasFairness ? reading?.unfairness : undefined,
    generatorUtilisation: utilisation,
  };
}
