// A counter in shared memory that an event loop moves on for as long as it turns, and who looks at it.

/** How often a loop must give a sign of life to be found still after `hangMs` (milliseconds). */
function beatEvery(hangMs: number): number {
  return Math.max(10, Math.min(1000, hangMs / 8));
}

/** Moves `counters[place]` on while this event loop turns. */
export function beat(counters: Int32Array, place: number, hangMs: number): void {
  setInterval(() => Atomics.add(counters, place, 1), beatEvery(hangMs)).unref();
}

export class Observer {
  readonly #hangMs: number;
  readonly #watched = new Map<number, Watched>();
  readonly #timer: NodeJS.Timeout;
  #lookedAt = performance.now();

  /** @param hangMs an event loop that has not turned for so long stands still */
  constructor(hangMs: number) {
    this.#hangMs = hangMs;
    this.#timer = setInterval(() => this.#look(), beatEvery(hangMs));
    this.#timer.unref();
  }

  /** @param onStill called once, with for how long it has stood still (milliseconds) */
  watch(id: number, counters: Int32Array, place: number, onStill: (ms: number) => void): void {
    this.#watched.set(id, { counters, place, onStill, beats: -1, since: performance.now() });
  }

  forget(id: number): void {
    this.#watched.delete(id);
  }

  #look(): void {
    const time = performance.now();
    // If we could not look either, the machine was asleep, or too busy to blame anybody.
    const wasAway = time - this.#lookedAt > this.#hangMs / 2;
    this.#lookedAt = time;
    for (const [id, one] of this.#watched) {
      const beats = Atomics.load(one.counters, one.place);
      if (beats !== one.beats || wasAway) Object.assign(one, { beats, since: time });
      else if (time - one.since >= this.#hangMs) {
        this.#watched.delete(id);
        one.onStill(time - one.since);
      }
    }
  }
}

interface Watched {
  readonly counters: Int32Array;
  readonly place: number;
  readonly onStill: (ms: number) => void;
  /** At the last look, and since when it has been so many. */
  beats: number;
  since: number;
}
