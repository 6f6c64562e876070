// Compares the first responses of a new generation with the responses of the old generation during the same time, and
// decides whether the new generation is worse. It only reads reports; the caller rolls back.
import { deferred } from '../deferred.js';
import type { CanaryFigures } from '../events.js';
import type { Reports } from '../reports/reports.js';
import { ResponseStats } from '../scaling/response-stats.js';

/** Fewer failed responses are taken for chance. */
const minFailed = 3;
/** The new failure rate is worse above twice the old rate plus this margin. */
const failureRateMargin = 0.01;
/** The new p99 is worse above twice the old p99 plus this margin, because a new process is slow at first. */
const p99MarginMs = 50;
/** With few clients the canary decides after this time, on fewer requests. */
const maxTrialMs = 60_000;

export class Canary {
  readonly #unsubscribe: () => void;
  readonly #minRequests: number;
  readonly #oldAnswers = new ResponseStats();
  readonly #newAnswers = new ResponseStats();
  /** Worker processes of the new generation. */
  readonly #newPids = new Set<number>();
  /** With what has failed, or after enough requests. */
  readonly #decided = deferred<string | undefined>();

  /** Starts to count. @param requests that the new generation must answer before the decision; at least 1 */
  constructor(reports: Reports, requests: number, generation: number) {
    this.#minRequests = requests;
    this.#decided.promise.catch(() => {}); // also when nothing waits for it
    this.#unsubscribe = reports.subscribe({
      'worker-started': (worker) => {
        if (worker.generation === generation) this.#newPids.add(worker.pid);
      },
      answers: (answers) => {
        (this.#newPids.has(answers.pid) ? this.#newAnswers : this.#oldAnswers).merge(answers);
        if (this.#newAnswers.count >= this.#minRequests) this.#decided.resolve(undefined);
      },
      hung: ({ pid, stack: [top = 'native code'] }) => this.#fail(pid, `a worker hung in ${top}`),
      'app-crashed': ({ pid, err }) => this.#fail(pid, `the app crashed: ${err.message}`),
      'worker-died': ({ pid, reason }) => this.#fail(pid, `a worker died: ${reason}`),
      'thread-lost': ({ pid, reason }) => this.#fail(pid, `a worker died: ${reason}`),
    });
  }

  /**
   * Waits for enough requests, for at most `maxTrialMs`, and decides.
   * @throws Error with the reason if the new generation is worse
   */
  async judge(onProgress: (message: string) => void): Promise<CanaryFigures> {
    const progress = setInterval(
      () => onProgress(`compared ${this.#newAnswers.count} of ${this.#minRequests} requests`),
      500,
    ).unref();
    const timeout = setTimeout(() => this.#decided.resolve(undefined), maxTrialMs).unref();
    const failure = await this.#decided.promise.finally(() => {
      clearTimeout(timeout);
      clearInterval(progress);
    });
    const { count: requests, failed, p99 } = this.#newAnswers;
    const { count: oldRequests, failed: oldFailed, p99: oldP99 } = this.#oldAnswers;
    const figures = { requests, failed, p99, oldRequests, oldFailed, oldP99 };
    const reason = failure ?? findRegression(figures);
    if (reason !== undefined) throw new Error(`the new generation was worse and is rolled back: ${reason}`);
    return figures;
  }

  /** Stops counting; a judgement that has not been made never is. */
  stop(): void {
    this.#unsubscribe();
    this.#decided.reject(new Error('the trial has ended'));
  }

  #fail(pid: number, reason: string): void {
    if (this.#newPids.has(pid)) this.#decided.resolve(reason);
  }
}

/** @returns what is worse in the new generation, as a clause; undefined if nothing is */
function findRegression(figures: CanaryFigures): string | undefined {
  const { requests, failed, p99, oldRequests, oldFailed, oldP99 } = figures;
  const oldRate = oldRequests > 0 ? oldFailed / oldRequests : 0;
  const isWorseRate = failed / Math.max(1, requests) > 2 * oldRate + failureRateMargin;
  const oldFigures = `(the old generation: ${oldFailed} of ${oldRequests}, p99 ${oldP99.toFixed(1)} ms)`;
  if (failed >= Math.min(minFailed, requests) && isWorseRate) {
    return `${failed} of its first ${requests} responses had a status of 500 or above ${oldFigures}`;
  }
  if (oldRequests > 0 && p99 > 2 * oldP99 + p99MarginMs) {
    return `the p99 of its first ${requests} responses was ${p99.toFixed(1)} ms ${oldFigures}`;
  }
  return undefined;
}
