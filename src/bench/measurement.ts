// One measurement: has a load generator do a job against a running server, and watches the server meanwhile.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { atRest } from './cool-down.js';
import type { Job, Report } from './job.js';
import { Meter, type Reading } from './meter.js';
import type { Round } from './results.js';
import type { Running } from './target.js';

const generator = fileURLToPath(new URL('../bench/generator.js', import.meta.url));

/** @throws when the generator dies, or `signal` is aborted */
export async function measure(server: Running, job: Omit<Job, 'origin'>, signal: AbortSignal): Promise<Round> {
  const meter = new Meter(server);
  let report: Report;
  let reading: Reading = {};
  try {
    report = await generate({ ...job, origin: server.origin }, signal);
  } finally {
    reading = meter.stop();
  }
  await atRest(server.pid, signal);
  const { cpuSeconds, memoryBefore = 0, peakMemoryBytes, unfairness } = reading;
  const { requests, seconds, latencyMs, errors, held, utilisation } = report;
  return {
    requests,
    requestsPerSecond: requests / seconds,
    ...(latencyMs && { latencyMs }),
    errors,
    ...(cpuSeconds !== undefined && requests > 0 && { cpuMicrosPerRequest: (cpuSeconds * 1e6) / requests }),
    ...(peakMemoryBytes !== undefined && { peakMemoryBytes }),
    ...(held !== undefined && { connectionsHeld: held }),
    ...(held !== undefined &&
      peakMemoryBytes !== undefined && {
        memoryPerConnectionBytes: Math.max(0, peakMemoryBytes - memoryBefore) / Math.max(1, held),
      }),
    ...(unfairness !== undefined && isSharable(server, job) && { unfairness }),
    generatorUtilisation: utilisation,
  };
}

/** One connection cannot be shared out, and of a few more it is chance who has them. */
function isSharable({ workers, threads }: Running, { connections }: Pick<Job, 'connections'>): boolean {
  return connections >= 4 * workers * threads;
}

function generate(job: Job, signal: AbortSignal): Promise<Report> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const child = fork(generator, [], { execArgv: [], detached: true });
    const stop = (): void => {
      child.kill('SIGKILL');
    };
    signal.addEventListener('abort', stop, { once: true });
    let report: Report | undefined;
    child.once('message', (message: Report) => {
      report = message;
    });
    child.once('error', reject);
    child.once('exit', (code, ended) => {
      signal.removeEventListener('abort', stop);
      if (report) resolve(report);
      else reject(signal.aborted ? signal.reason : new Error(`the load generator ended (${ended ?? code})`));
    });
    child.send(job);
  });
}
