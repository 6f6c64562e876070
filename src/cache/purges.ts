// When something was purged, in memory that all event loops share: each has a cache of its own, and checks there whether what
// it has stored still counts. A time for each of many slots, by the hash of a target or a tag: what shares the slot is purged
// as well, which costs a request to the app. The supervisor writes to it too.
import { hash } from '../hash.js';
import type { Part } from '../memory/parts.js';

/**
 * The one for all responses included. Each request that changes something is a purge: with 1,000 of these a second, for ever new
 * targets, another response is purged by accident after nine minutes on average.
 */
export const purgeSlots = 2 ** 19;
const bytesEach = 8;
export const purgesBytes = purgeSlots * bytesEach;

/** The slot of all responses. */
const all = 0;

/** What `mpserve ctl cache purge` can name. */
export type Purged = { readonly url: string } | { readonly tag: string } | 'all';

export function slotOf(purged: Purged): number {
  if (purged === 'all') return all;
  const text = 'url' in purged ? `url ${purged.url}` : `tag ${purged.tag}`;
  return 1 + (hash(text) % (purgeSlots - 1));
}

/** Of a response: that of its target first, then those of its tags. */
export function slotsOf(url: string, tags: readonly string[]): readonly number[] {
  return [slotOf({ url }), ...tags.map((tag) => slotOf({ tag }))];
}

/** Where the supervisor writes the time of a purge, and what. @param time of `clock.ts` */
export function purgeMark(purged: Purged, time: number): { readonly start: number; readonly bytes: Uint8Array } {
  return { start: slotOf(purged) * bytesEach, bytes: new Uint8Array(Float64Array.of(time).buffer) };
}

export class Purges {
  readonly #times: Float64Array;

  constructor({ memory, start }: Part) {
    this.#times = new Float64Array(memory, start, purgeSlots);
  }

  /** @param time of `clock.ts` */
  add(purged: Purged, time: number): void {
    this.#times[slotOf(purged)] = time;
  }

  /** When it was purged last; 0 for never. */
  timeOf(slot: number): number {
    return this.#times[slot] ?? 0;
  }

  /** @returns whether what was asked for at `time` may be used. @param slots of its target and its tags */
  isValid(slots: readonly number[], time: number): boolean {
    const times = this.#times;
    if ((times[all] as number) >= time) return false;
    for (const slot of slots) if ((times[slot] as number) >= time) return false;
    return true;
  }
}
