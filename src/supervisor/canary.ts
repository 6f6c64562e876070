// Compares the first answers of a new generation with those that the old one gives meanwhile, and finds it worse or not.
import type { CanaryFigures, Events, ServerEvent } from '../events.js';
import { ResponseStats } from '../scaling/response-stats.js';

/** So many failed answers are no accident. */
const someFailed = 3;
/** Twice the share of failed answers, and more than this besides, is worse. */
const failedMore = 0.01;
/** Twice as long, and more than this besides, is slower (milliseconds): a process that is new is slow at first. */
const slowerMs = 50;
/** Whoever has few clients is not to wait for long (milliseconds). */
const longest = 60_000;

export class Canary {
  readonly #events: Events;
  readonly #wanted: number;
  readonly #generation: number;
  readonly #old = new ResponseStats();
  readonly #new = new ResponseStats();
  /** Processes of the new generation. */
  readonly #pids = new Set<number>();
  readonly #hear = (event: ServerEvent): void => this.#take(event);
  #onTrouble = (_: string): void => {};
  #onEnough = (): void => {};

  /** Listens from now on. @param requests after which it is judged; 1 or more. @param generation the new one */
  constructor(events: Events, requests: number, generation: number) {
    this.#events = events;
    this.#wanted = requests;
    this.#generation = generation;
    events.on('event', this.#hear);
  }

  /**
   * Settles when there was enough to judge by, or a minute has passed.
   * @param onProgress told how many requests there were
   * @throws Error that says what is worse
   */
  async judge(onProgress: (words: string) => void): Promise<CanaryFigures> {
    let late: NodeJS.Timeout | undefined;
    const progress = setInterval(() => onProgress(`compared ${this.#new.count} of ${this.#wanted} requests`), 500);
    const trouble = await new Promise<string | undefined>((done) => {
      this.#onTrouble = done;
      this.#onEnough = () => done(undefined);
      late = setTimeout(() => done(undefined), longest);
      if (this.#new.count >= this.#wanted) done(undefined);
    });
    clearTimeout(late);
    clearInterval(progress);
    const report = this.#report();
    const worse = trouble ?? whatIsWorse(report);
    if (worse !== undefined) throw new Error(`the new generation was worse, and is rolled back: ${worse}`);
    return report;
  }

  stop(): void {
    this.#events.off('event', this.#hear);
  }

  #take(event: ServerEvent): void {
    if (event.event === 'worker-started' && event.generation === this.#generation) this.#pids.add(event.pid);
    if (!('pid' in event) || event.pid === undefined) return;
    const isNew = this.#pids.has(event.pid);
    if (event.event === 'answers') (isNew ? this.#new : this.#old).merge(event);
    else if (isNew) this.#hearTrouble(event);
    if (this.#new.count >= this.#wanted) this.#onEnough();
  }

  #hearTrouble(event: ServerEvent): void {
    if (event.event === 'hung') this.#onTrouble(`it hung in ${event.stack[0] ?? 'native code'}`);
    if (event.event === 'app-crashed') this.#onTrouble(`it crashed: ${event.err.message}`);
    if (event.event === 'worker-died' || event.event === 'thread-lost') this.#onTrouble(`it died: ${event.reason}`);
  }

  #report(): CanaryFigures {
    return {
      requests: this.#new.count,
      failed: this.#new.failed,
      p99: this.#new.p99,
      oldRequests: this.#old.count,
      oldFailed: this.#old.failed,
      oldP99: this.#old.p99,
    };
  }
}

/** In words; undefined when it is no worse. */
export function whatIsWorse(report: CanaryFigures): string | undefined {
  const { requests, failed, p99, oldRequests, oldFailed, oldP99 } = report;
  const before = oldRequests > 0 ? oldFailed / oldRequests : 0;
  const isMore = failed / Math.max(1, requests) > 2 * before + failedMore;
  const compared = `(the old one: ${oldFailed} of ${oldRequests}, p99 ${oldP99.toFixed(1)} ms)`;
  if (failed >= Math.min(someFailed, requests) && isMore) {
    return `${failed} of its first ${requests} answers had a status of 500 or more ${compared}`;
  }
  if (oldRequests > 0 && p99 > 2 * oldP99 + slowerMs) {
    return `the p99 of its first ${requests} answers was ${p99.toFixed(1)} ms ${compared}`;
  }
  return undefined;
}
