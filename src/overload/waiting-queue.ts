// The requests of one event loop that wait for a place in the app, the oldest first, those with priority before all others.
// Adding and removing take constant time. It has no limit, as all event loops share one (`places`), and no clock.
import type { Refusal } from './layout.js';

export class Waiter {
  /** @param since when it began to wait, in milliseconds of `clock.ts` */
  constructor(
    readonly since: number,
    readonly isPriority: boolean,
    /** Passes the request to the app. */
    readonly start: () => void,
    readonly refuse: (reason: Refusal) => void,
  ) {}

  previous: Waiter | undefined;
  next: Waiter | undefined;
  isWaiting = false;
}

interface Line {
  first: Waiter | undefined;
  last: Waiter | undefined;
}

export class WaitingQueue {
  readonly #ordinary: Line = { first: undefined, last: undefined };
  readonly #priority: Line = { first: undefined, last: undefined };
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The next to leave. */
  get first(): Waiter | undefined {
    return this.#priority.first ?? this.#ordinary.first;
  }

  get firstOrdinary(): Waiter | undefined {
    return this.#ordinary.first;
  }

  get firstPriority(): Waiter | undefined {
    return this.#priority.first;
  }

  /** The one that would leave last, unless it has priority. */
  get lastOrdinary(): Waiter | undefined {
    return this.#ordinary.last;
  }

  add(waiter: Waiter): void {
    const line = this.#lineOf(waiter);
    waiter.previous = line.last;
    if (line.last) line.last.next = waiter;
    else line.first = waiter;
    line.last = waiter;
    waiter.isWaiting = true;
    this.#size++;
  }

  /** @returns false if it does not wait */
  remove(waiter: Waiter): boolean {
    if (!waiter.isWaiting) return false;
    const line = this.#lineOf(waiter);
    const { previous, next } = waiter;
    if (previous) previous.next = next;
    else line.first = next;
    if (next) next.previous = previous;
    else line.last = previous;
    waiter.previous = undefined;
    waiter.next = undefined;
    waiter.isWaiting = false;
    this.#size--;
    return true;
  }

  #lineOf({ isPriority }: Waiter): Line {
    return isPriority ? this.#priority : this.#ordinary;
  }
}
