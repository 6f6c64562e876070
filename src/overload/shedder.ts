// Sheds for --shed: of the requests that get a place in the app, refuses those that have waited for too long to meet the
// goal, and earlier, by CoDel, some of a queue that does not get shorter by itself.
import type { ShedGoal } from '../config/shed-goal.js';
import { CoDel } from './codel.js';
import { codelNumbers } from './layout.js';

/** CoDel's target and interval, as parts of the goal: 50 ms and 100 ms (the interval of RFC 8289) for a goal of 500 ms. */
const targetFraction = 1 / 10;
const intervalFraction = 1 / 5;

/** By how much a response changes the estimate. For p99 it halves within about a thousand shorter responses. */
const stepFraction = 1 / 16;

/** Behind the numbers of CoDel. */
const estimate = codelNumbers;

export class Shedder {
  readonly #numbers: Float64Array;
  readonly #goalMs: number;
  readonly #targetMs: number;
  readonly #fraction: number;
  readonly #codel: CoDel;

  /** @param numbers `shedderNumbers` of them, zeros at first, which all event loops of the server share */
  constructor(numbers: Float64Array, { percent, ms }: ShedGoal) {
    this.#numbers = numbers;
    this.#goalMs = ms;
    this.#targetMs = ms * targetFraction;
    this.#fraction = percent / 100;
    this.#codel = new CoDel(numbers, this.#targetMs, ms * intervalFraction);
  }

  /** Call for each request that leaves the queue for the app. @returns whether to refuse it. See `CoDel.drops` */
  sheds(waitedMs: number, now: number, isLast: boolean): boolean {
    const isDropped = this.#codel.drops(waitedMs, now, isLast);
    return isDropped || waitedMs > this.#longestWaitMs;
  }

  /**
   * Moves the estimate of the percentile: up by much after a longer time, down by little after a shorter one, so that it
   * rests where `percent` of the times are shorter.
   * @param ms from when the app got a request to the end of the response
   */
  served(ms: number): void {
    const before = this.serviceMs;
    const step = ms > before ? 1 + stepFraction * this.#fraction : 1 - stepFraction * (1 - this.#fraction);
    this.#numbers[estimate] = before === 0 ? Math.max(1, ms) : Math.max(1, before * step);
  }

  /** For how long the app takes for a response at the goal's percentile (milliseconds); 0 before the first. */
  get serviceMs(): number {
    return this.#numbers[estimate] ?? 0;
  }

  /** What the app leaves of the goal. An app that takes longer than the goal does not make every wait too long. */
  get #longestWaitMs(): number {
    return Math.max(this.#targetMs, this.#goalMs - this.serviceMs);
  }
}
