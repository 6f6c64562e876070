// Tells the host how many requests a worker has answered: once a second while there are any.
import type { BackgroundTask } from '../activity.js';
import type { FromWorker } from './messages.js';

/** Answered requests are reported this often while there are any (milliseconds). */
const reportEveryMs = 1000;

export class AnswerReports implements BackgroundTask {
  readonly #answered: () => number;
  readonly #say: (message: FromWorker, sent?: () => void) => void;
  #timer: NodeJS.Timeout | undefined;
  #reported = 0;

  /** @param answered how many requests the worker has answered so far */
  constructor(answered: () => number, say: (message: FromWorker, sent?: () => void) => void) {
    this.#answered = answered;
    this.#say = say;
  }

  start(): void {
    this.#timer = setInterval(() => this.#report(), reportEveryMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#report();
  }

  /** The last report, also of none. @param sent called when the host can read it */
  finish(sent: () => void): void {
    this.#say({ type: 'answered', count: this.#take() }, sent);
  }

  #report(): void {
    const count = this.#take();
    if (count > 0) this.#say({ type: 'answered', count });
  }

  /** Those since the last report. */
  #take(): number {
    const before = this.#reported;
    this.#reported = this.#answered();
    return this.#reported - before;
  }
}
