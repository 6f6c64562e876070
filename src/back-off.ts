// How long to wait before something that died is started again: not at all the first time, then twice as long each
// time it dies young, so that what cannot live does not eat the machine. Only a good life makes that forgotten.

/** A life shorter than this counts as dying young, and one this long makes up for it (milliseconds). */
const young = 1000;
const good = 60_000;
const first = 100;
const longest = 30_000;
/** The wait after a life that was neither: what lives for a second eats little. */
const longestOnceGrown = 500;

export class BackOff {
  #early = 0;

  /** @param livedMs how long it had been ready; 0 if it never was. @returns milliseconds to wait. */
  died(livedMs: number): number {
    if (livedMs < young) this.#early++;
    else if (livedMs >= good) this.#early = 0;
    if (this.#early <= 1) return 0;
    const most = livedMs < young ? longest : longestOnceGrown;
    // With jitter, so that what died together does not come back together.
    return Math.round(Math.min(most, first * 2 ** (this.#early - 2)) * (0.75 + Math.random() / 4));
  }
}
