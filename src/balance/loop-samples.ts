// What looks at an event loop tell of it. Each look finds it waiting or busy: when clients come at random, the share of
// looks that find it busy is the share of time that it is.

/** An older look counts half as much (milliseconds). */
const halfLifeMs = 500;

export class LoopSamples {
  /** The first look that found it busy since it was last known to come to something. */
  #busySince: number | undefined;
  #lookedAt: number;
  #utilization = 0;

  /** @param time on the clock of `clock.ts`, here and below */
  constructor(time: number) {
    this.#lookedAt = time;
  }

  add(isBusy: boolean, time: number): void {
    const weight = 1 - 2 ** ((this.#lookedAt - time) / halfLifeMs);
    this.#utilization += (Number(isBusy) - this.#utilization) * weight;
    this.#lookedAt = time;
    if (isBusy) this.#busySince ??= time;
    else this.#busySince = undefined;
  }

  /** It has just come to something, without a look. */
  sawProgress(): void {
    this.#busySince = undefined;
  }

  /** Milliseconds that it has been seen to be busy without a break: from the first look that found it so. */
  lagAt(time: number): number {
    return time - (this.#busySince ?? time);
  }

  /** From 0 to 1. Without looks it goes to 0. */
  utilizationAt(time: number): number {
    return this.#utilization * 2 ** ((this.#lookedAt - time) / halfLifeMs);
  }
}
