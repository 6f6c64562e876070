// The trial of the new workers of a reload, a switch, a scaling or an upgrade: they are watched for a while (--probation)
// before they get connections, and again when they have replaced the old ones. In between, --canary compares their answers.
import { setTimeout as wait } from 'node:timers/promises';
import { now } from '../clock.js';
import type { Config } from '../config/config.js';
import { ExitCode, StartupError } from '../errors.js';
import type { CanaryFigures } from '../events.js';
import type { ReportOf } from '../reports/report.js';
import type { Reports } from '../reports/reports.js';
import type { Strategy } from '../strategies/strategy.js';
import { FailedTrial, type Trial } from '../strategies/trial.js';
import { Canary } from './canary.js';

/** Between two looks at the workers (milliseconds). */
const lookEveryMs = 100;

/** As a report has it. */
export type StartedWorker = Pick<ReportOf<'worker-started'>, 'generation' | 'route'>;

export interface ProbationOptions {
  readonly reports: Reports;
  /** Of the new workers. */
  readonly config: Config;
  /** Whether a worker is of their generation. Others of it that have started before do not count. */
  readonly isTried: (worker: StartedWorker) => boolean;
  readonly strategy: Pick<Strategy, 'snapshot'>;
  readonly onProgress: (message: string) => void;
  /** Told what --canary has compared. Absent where it compares nothing. */
  readonly onCompared?: ((figures: CanaryFigures) => void) | undefined;
}

export class Probation implements Trial {
  readonly #options: ProbationOptions;
  /** Processes of the new generation. */
  readonly #pids = new Set<number>();
  readonly #unsubscribe: () => void;
  readonly #canary: Canary | undefined;
  #fail = (_: FailedTrial): void => {};
  readonly failed = new Promise<never>((_, reject) => {
    this.#fail = reject;
  });
  readonly beside: (() => Promise<void>) | undefined;

  /** Watches from now on. */
  constructor(options: ProbationOptions) {
    const { reports, config, isTried, onProgress, onCompared } = options;
    this.#options = options;
    this.failed.catch(() => {}); // also when nothing waits for it
    /** What has failed in processes that were not ready yet: one of several threads, for example. */
    const early = new Map<number, string>();
    const failed = (pid: number, reason: string): void => {
      if (this.#pids.has(pid)) this.#fail(new FailedTrial(reason));
      else if (!early.has(pid)) early.set(pid, reason);
    };
    this.#unsubscribe = reports.subscribe({
      'worker-started': (worker) => {
        if (!isTried(worker)) return;
        this.#pids.add(worker.pid);
        const reason = early.get(worker.pid);
        if (reason !== undefined) failed(worker.pid, reason);
      },
      'app-crashed': ({ pid, err }) => failed(pid, `the app crashed: ${err.message}`),
      hung: ({ pid, stack: [top = 'native code'] }) => failed(pid, `a worker hung in ${top}`),
      'worker-died': ({ pid, reason }) => failed(pid, `a worker died: ${reason}`),
      'server-closed': ({ pid }) => failed(pid, 'the app closed its server'),
      'thread-lost': ({ pid, reason }) => failed(pid, `a thread died: ${reason}`),
    });
    if (!onCompared) return;
    const canary = new Canary(reports, config.lifecycle.canary, (pid) => this.#pids.has(pid));
    this.#canary = canary;
    this.beside = async () => onCompared(await Promise.race([canary.judge(onProgress), this.failed]));
  }

  before(): Promise<void> {
    return this.#watch('before they get connections');
  }

  after(): Promise<void> {
    return this.#watch('with all connections');
  }

  stop(): void {
    this.#unsubscribe();
    this.#canary?.stop();
    this.#fail(new FailedTrial('it was given up')); // it ends, where nothing waits for it any more
  }

  async #watch(when: string): Promise<void> {
    const { config, onProgress } = this.#options;
    const ms = config.lifecycle.probation;
    const until = now() + ms;
    for (let left = ms; ; left = until - now()) {
      await Promise.race([this.#look(), this.failed]);
      if (left <= 0) return;
      onProgress(`watching the new workers ${when}: ${((ms - left) / 1000).toFixed(1)} of ${ms / 1000} s`);
      await Promise.race([wait(Math.min(lookEveryMs, left)), this.failed]);
    }
  }

  /** @throws FailedTrial */
  async #look(): Promise<void> {
    const { strategy, config } = this.#options;
    const { maxMemory } = config.recycle;
    const looks = strategy.snapshot().workers.map(async (worker) => {
      if (!this.#pids.has(worker.pid) || worker.stage !== 'ready') return;
      if (maxMemory > 0 && worker.memory > maxMemory)
        throw new FailedTrial(`a worker has ${Math.round(worker.memory / 1024 ** 2)} MiB of memory (--max-memory)`);
      const failure = await worker.check();
      if (failure !== undefined) throw new FailedTrial(failure);
    });
    await Promise.all(looks);
  }
}

/**
 * Starts the strategy of a successor, whose workers get no connections yet: the old server serves until they have passed.
 * @param stopping ends the probation, while another drains the strategy. @throws StartupError
 */
export async function startOnProbation(
  strategy: Strategy,
  reports: Reports,
  config: Config,
  stopping: AbortSignal,
): Promise<void> {
  const { generation } = strategy.snapshot();
  const isTried = (worker: StartedWorker): boolean => worker.generation === generation;
  const probation = new Probation({ reports, config, isTried, strategy, onProgress: () => {} });
  stopping.addEventListener('abort', () => probation.stop());
  try {
    await strategy.start(true);
    await probation.before();
  } catch (error) {
    if (stopping.aborted) return;
    strategy.kill();
    await strategy.drain(0);
    throw error instanceof FailedTrial ? new StartupError(ExitCode.crashLoop, error.message) : error;
  } finally {
    probation.stop();
  }
}
