// Decides how many members a pool should have, so that a few are idle. With too few idle members the pool grows at once,
// and faster the longer that lasts. With too many for a while it shrinks, as far as the load allows.
import type { Config } from '../config/config.js';

/** An event-loop lag that counts as a load of 1. */
export const maxLagMs = 33;

/** How the load of a member is measured, and what log lines call it. */
export const measures: Readonly<Record<Measure, string>> = {
  /** The fraction of time in which the member had a request. */
  busy: 'busy',
  /** Event-loop utilization. */
  elu: 'of its event loop used',
  /** Event-loop lag as a fraction of `maxLagMs`. */
  lag: `of ${maxLagMs} ms late`,
};

export type Measure = Config['scaling']['scaleOn'];

/** From the options of the operator. */
export interface Range extends Readonly<Config['scaling']> {
  readonly min: number;
  readonly max: number;
}

/** A member that can serve. */
export interface Member {
  readonly id: number;
  /** From 0 to 1; undefined until it has been measured. */
  readonly load: number | undefined;
}

/** An idle member becomes busy above the first load, a busy one idle below the second. */
const busyAbove = 0.6;
const idleBelow = 0.3;

/** A load below this counts as 0. */
const minLoad = 0.02;

/** The pool grows faster if it grew within this time, which is that of a start and a measurement. */
const streakWindowMs = 3000;

/** Members measure their load, and pools decide on their size, at this interval. */
export const sampleIntervalMs = 250;

const maxLoadsShown = 16;

export class Scaler {
  readonly #range: Range;
  /** Smoothed loads by member. */
  #loads = new Map<number, number>();
  #busy = new Set<number>();
  /** How often the pool has grown in a row. */
  #streak = 0;
  #grewAt = Number.NEGATIVE_INFINITY;
  /** Since when there have been too many members, and the smallest excess since then. */
  #excess: { readonly since: number; readonly count: number } | undefined;

  constructor(range: Range) {
    this.#range = range;
  }

  /**
   * @param members those that can serve
   * @param size the current target size, which includes members that are starting
   * @param now milliseconds on any monotonic clock
   * @returns the new size, and the reason for the log; undefined to keep the size
   */
  decide(members: readonly Member[], size: number, now: number) {
    const { min, max, spareMin, spareMax, idleTimeout } = this.#range;
    this.#loads = new Map(members.map(({ id, load = 0 }) => [id, smoothed(load, this.#loads.get(id))]));
    this.#busy = new Set(members.map(({ id }) => id).filter((id) => this.#isBusy(id)));
    const idle = members.length - this.#busy.size;
    // With this size, `spareMin` members would be idle under the present load.
    const needed = Math.ceil(this.#total / busyAbove) + spareMin;
    // Members that are starting will be idle.
    const lacking = spareMin - idle - Math.max(0, size - members.length);
    if (lacking > 0 && size < max) {
      this.#excess = undefined;
      this.#streak = now - this.#grewAt < streakWindowMs ? this.#streak + 1 : 0;
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
    if (now - since < idleTimeout) return undefined;
    this.#excess = undefined;
    const why = `more idle than --spare-max ${spareMax} for ${idleTimeout / 1000} s`;
    return this.#decision(size - Math.min(count, tooMany), members, why);
  }

  #isBusy(id: number): boolean {
    return (this.#loads.get(id) ?? 0) >= (this.#busy.has(id) ? idleBelow : busyAbove);
  }

  get #total(): number {
    return [...this.#loads.values()].reduce((total, load) => total + load, 0);
  }

  #decision(size: number, members: readonly Member[], why: string) {
    const loads = [...this.#loads.values()].map((load) => `${Math.round(load * 100)} %`).slice(0, maxLoadsShown);
    const shown = members.length > maxLoadsShown ? [...loads, '…'] : loads;
    const idle = members.length - this.#busy.size;
    return {
      size,
      reason: `${why}: ${idle} of ${members.length} (${shown.join(', ')} ${measures[this.#range.scaleOn]})`,
    };
  }
}

/** Rising load counts more than falling load: clients wait while it rises. */
function smoothed(load: number, before = load): number {
  const weight = load > before ? 0.75 : 0.5;
  const mean = weight * load + (1 - weight) * before;
  return mean < minLoad ? 0 : mean;
}
