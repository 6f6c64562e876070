// How long to wait before something that died is started again: not at all the first time, then twice as long each
// time it dies young, so that what cannot live does not eat the machine.

/** A life shorter than this counts as dying young (milliseconds). */
const young = 1000;
const first = 100;
const longest = 30_000;

export class BackOff {
  #early = 0;

  /** @param livedMs how long it had been ready; 0 if it never was. @returns milliseconds to wait. */
  died(livedMs: number): number {
    if (livedMs >= young) this.#early = 0;
    else this.#early++;
    if (this.#early <= 1) return 0;
    // With jitter, so that what died together does not come back together.
    return Math.round(Math.min(longest, first * 2 ** (this.#early - 2)) * (0.75 + Math.random() / 4));
  }
}
