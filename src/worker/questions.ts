// The questions of a host to one of its workers, and the answers that arrive in time.
import { within } from '../clock.js';
import { deferred } from '../deferred.js';
import type { FromWorker, ToWorker } from './messages.js';
import type { Unit } from './runtime.js';

export type Answer = Extract<FromWorker, { type: 'answer' }>;

export class Questions {
  readonly #unit: Unit;
  readonly #open = new Map<number, (answer: Answer | undefined) => void>();
  #asked = 0;
  #hasEnded = false;

  constructor(unit: Unit) {
    this.#unit = unit;
  }

  /** The worker has ended: it answers none any more. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** @returns undefined when the worker has not answered within `deadlineMs` milliseconds, or has ended */
  async ask<Q extends ToWorker>(
    question: (id: number) => Q,
    deadlineMs: number,
    send = (message: Q) => this.#unit.send(message),
  ): Promise<Answer | undefined> {
    if (this.#hasEnded) return undefined;
    const id = ++this.#asked;
    const { promise, resolve } = deferred<Answer | undefined>();
    this.#open.set(id, resolve);
    try {
      send(question(id));
      return await within(deadlineMs, promise);
    } finally {
      this.#open.delete(id);
    }
  }

  answered(answer: Answer): void {
    this.#open.get(answer.id)?.(answer);
  }

  /** The worker has ended. */
  end(): void {
    this.#hasEnded = true;
    for (const answer of this.#open.values()) answer(undefined);
  }
}
