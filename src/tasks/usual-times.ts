// How long requests usually keep a thread, by method and path. One that usually takes far longer than the others is slow.

/** Methods and paths that are known. A client can name any number of them. */
const maxKnown = 512;
/** A request that takes less than this is never slow (milliseconds). */
const minSlowMs = 5;
/** A slow request takes this many times as long as the average request, at least. */
const slowFactor = 2;
/** How much the last request counts in the average of its path, and in that of all. */
const weight = 1 / 16;
const weightInAll = 1 / 64;

export class UsualTimes {
  /** Of all requests (milliseconds). */
  #average: number | undefined;
  /** Averages (milliseconds), the one that was used least recently first. */
  readonly #known = new Map<string, number>();

  /** Of one that is not known: false. */
  isSlow(method: string, url: string): boolean {
    if (this.#average === undefined) return false;
    const usual = this.#known.get(keyOf(method, url)) ?? 0;
    return usual >= minSlowMs && usual >= slowFactor * this.#average;
  }

  /** @param ms for which it kept its thread */
  took(method: string, url: string, ms: number): void {
    this.#average = this.#average === undefined ? ms : this.#average + weightInAll * (ms - this.#average);
    const key = keyOf(method, url);
    const before = this.#known.get(key);
    // Moved to the end.
    this.#known.delete(key);
    this.#known.set(key, before === undefined ? ms : before + weight * (ms - before));
    if (this.#known.size <= maxKnown) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }
}

function keyOf(method: string, url: string): string {
  const end = url.indexOf('?');
  return `${method} ${end < 0 ? url : url.slice(0, end)}`;
}
