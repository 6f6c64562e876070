// Exponential back-off of restarts: no delay after the first early death of a worker, then a delay that doubles with each
// further one, so that an app that cannot run does not use up the machine. A long life resets the delay.

/** A death before this age is early. */
const minLifeMs = 1000;
/** A death after this age resets the delay. */
const resetLifeMs = 60_000;
const firstDelayMs = 100;
const maxDelayMs = 30_000;
/** The maximum after a death in between: restarts at that rate cost little. */
const maxDelayAfterLifeMs = 500;

export class BackOff {
  #earlyDeaths = 0;

  /** @param livedMs how long the worker was ready; 0 if it never was. @returns milliseconds to wait */
  died(livedMs: number): number {
    if (livedMs < minLifeMs) this.#earlyDeaths++;
    else if (livedMs >= resetLifeMs) this.#earlyDeaths = 0;
    if (this.#earlyDeaths <= 1) return 0;
    const max = livedMs < minLifeMs ? maxDelayMs : maxDelayAfterLifeMs;
    // With jitter, so that workers that died together do not restart together.
    return Math.round(Math.min(max, firstDelayMs * 2 ** (this.#earlyDeaths - 2)) * (0.75 + Math.random() / 4));
  }
}
