// Compares the first responses of a new generation with the responses of the old generation during the same time, and
// decides whether the new generation is worse.
import { within } from '../clock.js';
import { deferred } from '../deferred.js';
import type { CanaryFigures } from '../events.js';
import type { Reports } from '../reports/reports.js';
import { ResponseStats } from '../scaling/response-stats.js';
import { FailedTrial } from '../strategies/trial.js';

/** Fewer failed, or slow, responses are taken for chance: of 20 the p99 is the slowest. */
const minBad = 3;
/** The new failure rate is worse above twice the old rate, and above this. */
const minFailureRate = 0.01;
/** The new p99 is worse above twice the old p99, and above this, because a new process is slow at first. */
const minP99Ms = 50;
/** With few clients the canary decides after this time, on fewer requests. */
const maxTrialMs = 60_000;

export class Canary {
  readonly #unsubscribe: () => void;
  readonly #minRequests: number;
  readonly #oldAnswers = new ResponseStats();
  readonly #newAnswers = new ResponseStats();
  readonly #hasEnough = deferred<void>();

  /**
   * Starts to count.
   * @param requests that the new generation must answer before the decision; at least 1
   * @param isNew whether a process is of the new generation
   */
  constructor(reports: Reports, requests: number, isNew: (pid: number) => boolean) {
    this.#minRequests = requests;
    this.#unsubscribe = reports.subscribe({
      answers: (answers) => {
        (isNew(answers.pid) ? this.#newAnswers : this.#oldAnswers).merge(answers);
        if (this.#newAnswers.count >= this.#minRequests) this.#hasEnough.resolve();
      },
    });
  }

  /**
   * Waits for enough requests, for at most `maxTrialMs`, and decides.
   * @throws FailedTrial if the new generation is worse
   */
  async judge(onProgress: (message: string) => void): Promise<CanaryFigures> {
    const progress = setInterval(
      () => onProgress(`compared ${this.#newAnswers.count} of ${this.#minRequests} requests`),
      500,
    ).unref();
    await within(maxTrialMs, this.#hasEnough.promise);
    clearInterval(progress);
    const { count: requests, failed, p99 } = this.#newAnswers;
    const { count: oldRequests, failed: oldFailed, p99: oldP99 } = this.#oldAnswers;
    const figures = { requests, failed, p99, oldRequests, oldFailed, oldP99 };
    const reason = findRegression(figures, (ms) => this.#newAnswers.slowerThan(ms));
    if (reason !== undefined) throw new FailedTrial(reason);
    return figures;
  }

  /** Stops counting. */
  stop(): void {
    this.#hasEnough.resolve();
    this.#unsubscribe();
  }
}

/**
 * @param slowerThan how many responses of the new generation took longer than some milliseconds
 * @returns what is worse in the new generation, as a clause; undefined if nothing is
 */
function findRegression(figures: CanaryFigures, slowerThan: (ms: number) => number): string | undefined {
  const { requests, failed, p99, oldRequests, oldFailed, oldP99 } = figures;
  const oldRate = oldRequests > 0 ? oldFailed / oldRequests : 0;
  const isWorseRate = failed / Math.max(1, requests) > Math.max(2 * oldRate, minFailureRate);
  const oldFigures = `(the old generation: ${oldFailed} of ${oldRequests}, p99 ${oldP99.toFixed(1)} ms)`;
  const leastBad = Math.min(minBad, requests);
  if (failed >= leastBad && isWorseRate) {
    return `${failed} of their first ${requests} responses had a status of 500 or above ${oldFigures}`;
  }
  const longest = Math.max(2 * oldP99, minP99Ms);
  if (oldRequests > 0 && p99 > longest && slowerThan(longest) >= leastBad) {
    return `the p99 of their first ${requests} responses was ${p99.toFixed(1)} ms ${oldFigures}`;
  }
  return undefined;
}
