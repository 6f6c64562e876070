// What looks at an event loop tell of it. Each look finds it waiting or busy: when clients come at random, the share of
// looks that find it busy is the share of time that it is.

/** An older look counts half as much (milliseconds). */
const halfLifeMs = 500;

export class LoopSamples {
  #waitedAt: number;
  #lookedAt: number;
  #utilization = 0;

  /** @param time on the clock of `clock.ts`, here and below */
  constructor(time: number) {
    this.#waitedAt = time;
    this.#lookedAt = time;
  }

  add(isBusy: boolean, time: number): void {
    const weight = 1 - 2 ** ((this.#lookedAt - time) / halfLifeMs);
    this.#utilization += (Number(isBusy) - this.#utilization) * weight;
    this.#lookedAt = time;
    if (!isBusy) this.#waitedAt = time;
  }

  /** It has just come to something, without a look. */
  sawProgress(time: number): void {
    this.#waitedAt = time;
  }

  /** Milliseconds since it was last known to come to what there is. */
  lagAt(time: number): number {
    return time - this.#waitedAt;
  }

  /** From 0 to 1. Without looks it goes to 0. */
  utilizationAt(time: number): number {
    return this.#utilization * 2 ** ((this.#lookedAt - time) / halfLifeMs);
  }
}
