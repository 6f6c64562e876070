// The regions of a worker's box, as its threads come and go: each takes one that is free and leaves it when it ends.
import type { LostRequest } from '../events.js';
import type { BoxPlan } from './journal.js';
import { takeFlights } from './journal.js';
import type { Place } from './loop-journal.js';

export interface Berth {
  /** undefined when there is none: this thread keeps no record. */
  readonly place: Place | undefined;
  /** When the thread has ended. @returns what it was at */
  leave(): readonly LostRequest[];
}

export interface Box {
  readonly fd: number;
  readonly plan: BoxPlan;
}

const none: Berth = { place: undefined, leave: () => [] };

export class Berths {
  readonly #box: Box | undefined;
  readonly #placeOf: (region: number) => Place | undefined;
  readonly #free: number[];

  constructor(box: Box | undefined, placesOf: (box: Box) => (region: number) => Place | undefined) {
    this.#box = box;
    this.#placeOf = box ? placesOf(box) : () => undefined;
    this.#free = Array.from({ length: box?.plan.regions ?? 0 }, (_, i) => i).reverse();
  }

  take(): Berth {
    const [box, region] = [this.#box, this.#free.pop()];
    if (!box || region === undefined) return none;
    return {
      place: this.#placeOf(region),
      leave: () => {
        this.#free.push(region);
        return takeFlights(box.fd, box.plan, region, region + 1);
      },
    };
  }
}
