// `mpserve prove --target`: the clients ask a server, or a balancer, that runs already, while another tool deploys. It starts
// no server, and injects nothing.
import { setTimeout as sleep } from 'node:timers/promises';
import type { TargetUrl } from '../config/target-url.js';
import { thisMachine } from '../testbed/machine.js';
import type { Progress } from '../testbed/progress.js';
import { ClientPool } from './client-pool.js';
import { measure } from './measure.js';
import type { Counts } from './messages.js';
import { checkResponses, type ExpectedResponses } from './preflight.js';
import { type Results, resultOf, schema, type TrialResult } from './results.js';
import { balancerFailures, clientCounts, slowBodyMs, slowHeadMs } from './workload.js';

export interface TargetPlan {
  readonly target: TargetUrl;
  readonly expected: ExpectedResponses;
  readonly version: string;
  readonly keptAliveClients: number;
  readonly thinkMs: number;
  /** Undefined: until `signal` is aborted. */
  readonly durationMs: number | undefined;
  readonly onProgress: (progress: Progress) => void;
  /** Ends the run as `durationMs` does. */
  readonly signal: AbortSignal;
}

const progressIntervalMs = 1000;

/**
 * What the target answers before the run. It may take a minute; the run has begun when this is over.
 * @throws StartupError when nothing listens at the target, or it has no normal response
 */
export function checkTarget(target: TargetUrl): Promise<ExpectedResponses> {
  return checkResponses(target, target.path, target.path, 'give --target the URL of another page');
}

/** If the target goes away meanwhile, that is a result. */
export async function watchTarget(plan: TargetPlan): Promise<Results> {
  const { target, version, keptAliveClients, thinkMs } = plan;
  const { status, upload } = plan.expected;
  const { path, href } = target;
  const at = new Date().toISOString();
  const notes = [
    ...statusNotes(path, status),
    ...(typeof upload === 'string' ? [`no slow-body clients, because ${upload}`] : []),
  ];
  const clients = clientCounts(keptAliveClients, typeof upload === 'object');
  const pool = new ClientPool(new AbortController().signal);
  try {
    await pool.call('start', {
      endpoint: target,
      path,
      status,
      failureStatuses: balancerFailures,
      ...(typeof upload === 'object' && { upload }),
      clients,
      thinkMs,
      headMs: slowHeadMs,
      bodyMs: slowBodyMs,
    });
    const watch = new Watch(pool, plan);
    const measured = { clientPool: pool, sleep: (ms: number) => watch.sleep(ms) };
    const result = await measure('watch', measured, () => watch.run(), new AbortController().signal).catch(
      (error: Error): TrialResult => ({ ...resultOf('watch'), failure: error.message }),
    );
    return {
      ...{ schema, at, machine: thisMachine(), version, app: href, target: href },
      settings: { url: path, thinkMs, clients },
      proofs: [{ model: 'target', size: '', trials: [result] }],
      notes,
      avoidable: result.avoidable,
      failures: result.failure === undefined ? 0 : 1,
      interrupted: false,
    };
  } finally {
    pool.kill();
  }
}

/** A balancer may answer in place of the servers behind it. */
function statusNotes(path: string, status: number): readonly string[] {
  if (status >= 200 && status < 300) return [];
  const note = `GET ${path} had status ${status} at the start, so this is what is expected`;
  return [status < 400 ? `${note}, and no redirect is followed` : note];
}

/** Looks on until the time is over, and reports the progress. */
class Watch {
  readonly #pool: ClientPool;
  readonly #plan: TargetPlan;
  readonly #startedAt = performance.now();

  constructor(pool: ClientPool, plan: TargetPlan) {
    this.#pool = pool;
    this.#plan = plan;
  }

  /** Settles when the run is to end. */
  async run() {
    while (this.#remainingMs > 0) {
      await this.sleep(progressIntervalMs);
      this.#show(await this.#pool.call('counts'));
    }
    this.#plan.onProgress({ doing: 'waiting for the requests in flight' });
    return { times: 1, mayReconnect: true };
  }

  /** Shorter if the run is to end before. */
  async sleep(ms: number): Promise<void> {
    await sleep(Math.min(ms, this.#remainingMs), undefined, { signal: this.#plan.signal }).catch(() => {});
  }

  get #elapsedMs(): number {
    return performance.now() - this.#startedAt;
  }

  get #remainingMs(): number {
    const { signal, durationMs = Number.POSITIVE_INFINITY } = this.#plan;
    return signal.aborted ? 0 : Math.max(0, durationMs - this.#elapsedMs);
  }

  #show({ answered, failed, lost, longestMs }: Counts): void {
    const { durationMs } = this.#plan;
    const seconds = Math.round(this.#elapsedMs / 1000);
    const time = durationMs === undefined ? `${seconds} s` : `${seconds} of ${Math.round(durationMs / 1000)} s`;
    const requests = (answered + failed + lost).toLocaleString('en');
    const counts = `${requests} requests, ${failed} failed, ${lost} lost, longest ${Math.round(longestMs)} ms`;
    this.#plan.onProgress({ doing: `${time}: ${counts}`, isUpdate: true });
  }
}
