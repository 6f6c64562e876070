// Compares the first responses of a new generation with the responses of the old generation during the same time, and
// decides whether the new generation is worse. It only reads events; the caller rolls back.
import type { CanaryFigures, Events, ServerEvent } from '../events.js';
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
  readonly #events: Events;
  readonly #minRequests: number;
  readonly #generation: number;
  readonly #oldAnswers = new ResponseStats();
  readonly #newAnswers = new ResponseStats();
  /** Worker processes of the new generation. */
  readonly #newPids = new Set<number>();
  readonly #listener = (event: ServerEvent): void => this.#onEvent(event);
  #onFailure = (_: string): void => {};
  #onEnough = (): void => {};

  /** Starts to count. @param requests that the new generation must answer before the decision; at least 1 */
  constructor(events: Events, requests: number, generation: number) {
    this.#events = events;
    this.#minRequests = requests;
    this.#generation = generation;
    events.on('event', this.#listener);
  }

  /**
   * Waits for enough requests, for at most `maxTrialMs`, and decides.
   * @throws Error with the reason if the new generation is worse
   */
  async judge(onProgress: (message: string) => void): Promise<CanaryFigures> {
    let timeout: NodeJS.Timeout | undefined;
    const progress = setInterval(
      () => onProgress(`compared ${this.#newAnswers.count} of ${this.#minRequests} requests`),
      500,
    );
    const failure = await new Promise<string | undefined>((done) => {
      this.#onFailure = done;
      this.#onEnough = () => done(undefined);
      timeout = setTimeout(() => done(undefined), maxTrialMs);
      if (this.#newAnswers.count >= this.#minRequests) done(undefined);
    });
    clearTimeout(timeout);
    clearInterval(progress);
    const figures = this.#figures();
    const reason = failure ?? findRegression(figures);
    if (reason !== undefined) throw new Error(`the new generation was worse and is rolled back: ${reason}`);
    return figures;
  }

  stop(): void {
    this.#events.off('event', this.#listener);
  }

  #onEvent(event: ServerEvent): void {
    if (event.event === 'worker-started' && event.generation === this.#generation) this.#newPids.add(event.pid);
    if (!('pid' in event) || event.pid === undefined) return;
    const isNew = this.#newPids.has(event.pid);
    if (event.event === 'answers') (isNew ? this.#newAnswers : this.#oldAnswers).merge(event);
    else if (isNew) this.#checkFailure(event);
    if (this.#newAnswers.count >= this.#minRequests) this.#onEnough();
  }

  #checkFailure(event: ServerEvent): void {
    if (event.event === 'hung') this.#onFailure(`a worker hung in ${event.stack[0] ?? 'native code'}`);
    if (event.event === 'app-crashed') this.#onFailure(`the app crashed: ${event.err.message}`);
    if (event.event === 'worker-died' || event.event === 'thread-lost')
      this.#onFailure(`a worker died: ${event.reason}`);
  }

  #figures(): CanaryFigures {
    return {
      requests: this.#newAnswers.count,
      failed: this.#newAnswers.failed,
      p99: this.#newAnswers.p99,
      oldRequests: this.#oldAnswers.count,
      oldFailed: this.#oldAnswers.failed,
      oldP99: this.#oldAnswers.p99,
    };
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
