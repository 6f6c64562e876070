// How many members a pool should have: enough that some are idle, and not many more. It grows when too few are, at once
// and faster the longer that lasts; it shrinks when too many have been for a while, and only as far as the load allows.

/** A lag that counts as a load of 1 (milliseconds). */
export const longestLag = 33;

/** By what a member counts as busy. */
export const measures = {
  /** The share of time in which it has had a request. */
  busy: 'busy',
  /** The share of time in which its event loop has not waited (event-loop utilisation). */
  elu: 'of its event loop used',
  /** How late its event loop is, as a share of `longestLag`. */
  lag: `of ${longestLag} ms late`,
} as const;

export type Measure = keyof typeof measures;

/** What an operator allows. */
export interface Range {
  readonly min: number;
  readonly max: number;
  /** With fewer idle ones it grows. */
  readonly spareMin: number;
  /** With more idle ones it shrinks. */
  readonly spareMax: number;
  /** Milliseconds for which there must be more. */
  readonly idleMs: number;
  readonly measure: Measure;
}

/** A member that can serve. */
export interface Member {
  readonly id: number;
  /** From 0 to 1; undefined until it has been measured. */
  readonly load: number | undefined;
}

export interface Decision {
  readonly size: number;
  /** In words, with the figures. */
  readonly reason: string;
}

/** Who is idle becomes busy above the one, and who is busy idle below the other. */
const busyAbove = 0.6;
const idleBelow = 0.3;

/** A load below this is none. */
const negligible = 0.02;

/** Growing once more within this time, that of a start and a measurement, is growing in a row (milliseconds). */
const inARow = 3000;

/** Between two looks at a pool, and two measurements of a member (milliseconds). */
export const lookEvery = 250;

export class Scaler {
  readonly #range: Range;
  /** Of each member, as it was and as it is: a single look says little. */
  #loads = new Map<number, number>();
  #busy = new Set<number>();
  /** How often in a row it has grown, and when it last has. */
  #streak = 0;
  #grewAt = Number.NEGATIVE_INFINITY;
  /** Since when there have been too many, and the fewest that were too many since then. */
  #excess: { readonly since: number; readonly count: number } | undefined;

  constructor(range: Range) {
    this.#range = range;
  }

  /**
   * @param size members that are wanted now; some of them may not be able to serve yet
   * @param now milliseconds on any clock that goes forward
   * @returns the size to change to; undefined to leave it
   */
  decide(members: readonly Member[], size: number, now: number): Decision | undefined {
    const { min, max, spareMin, spareMax, idleMs } = this.#range;
    this.#loads = new Map(members.map(({ id, load = 0 }) => [id, smoothed(load, this.#loads.get(id))]));
    this.#busy = new Set(members.map(({ id }) => id).filter((id) => this.#isBusy(id)));
    const idle = members.length - this.#busy.size;
    // So many would be idle enough under this load.
    const needed = Math.ceil(this.#total / busyAbove) + spareMin;
    // Those that are still starting will be idle.
    const lacking = spareMin - idle - Math.max(0, size - members.length);
    if (lacking > 0 && size < max) {
      this.#excess = undefined;
      this.#streak = now - this.#grewAt < inARow ? this.#streak + 1 : 0;
      this.#grewAt = now;
      const step = Math.max(lacking, 2 ** this.#streak);
      return this.#decision(
        Math.min(max, Math.max(size + step, needed)),
        members,
        `fewer idle than --spare-min ${spareMin}`,
      );
    }
    const target = Math.max(min, this.#busy.size + spareMax, needed);
    const tooMany = members.length === size ? size - target : 0;
    if (tooMany <= 0) {
      this.#excess = undefined;
      return undefined;
    }
    const { since, count } = this.#excess ?? { since: now, count: tooMany };
    this.#excess = { since, count: Math.min(count, tooMany) };
    if (now - since < idleMs) return undefined;
    this.#excess = undefined;
    const why = `more idle than --spare-max ${spareMax} for ${idleMs / 1000} s`;
    return this.#decision(size - Math.min(count, tooMany), members, why);
  }

  #isBusy(id: number): boolean {
    return (this.#loads.get(id) ?? 0) >= (this.#busy.has(id) ? idleBelow : busyAbove);
  }

  get #total(): number {
    return [...this.#loads.values()].reduce((total, load) => total + load, 0);
  }

  #decision(size: number, members: readonly Member[], why: string): Decision {
    const loads = [...this.#loads.values()].map((load) => `${Math.round(load * 100)} %`).slice(0, mostShown);
    const shown = members.length > mostShown ? [...loads, '…'] : loads;
    const idle = members.length - this.#busy.size;
    return {
      size,
      reason: `${why}: ${idle} of ${members.length} (${shown.join(', ')} ${measures[this.#range.measure]})`,
    };
  }
}

const mostShown = 16;

/** Clients wait while it rises, and nobody while it falls. */
function smoothed(load: number, before = load): number {
  const weight = load > before ? 0.75 : 0.5;
  const mean = weight * load + (1 - weight) * before;
  return mean < negligible ? 0 : mean;
}
