// The places in the app that all event loops of the server share (--max-inflight), and their common limit on waiting
// requests. Exact: never more requests in the app than places, whichever event loops take them at the same time. An event
// loop adds its request to its own slot first and then sums all slots; if that is too many, it takes the request back. Of
// those that do so at the same time, the last one sees all others. docs/decisions/0024-places-in-the-app.md
import type { Word } from './layout.js';
import { type Now, type SlotTable, timeWord } from './slots.js';

/** A request for which a place is wanted. */
export interface Claim {
  /** Since when it waits, in milliseconds of `clock.ts`. */
  readonly since: number;
  readonly isPriority: boolean;
}

export interface PlaceLimits {
  readonly maxInflight: number;
  readonly queueMax: number;
}

/** A request elsewhere that has waited for this much longer goes first (milliseconds). */
const fairnessMs = 10;
/** An event loop that is later than this does not get the place that is kept for it (milliseconds). */
const graceMs = 10;
/** How often a claim is tried again that another event loop's has met. */
const maxTries = 8;

export class Places {
  readonly #table: SlotTable;
  readonly #slot: number;
  readonly #limit: number;
  readonly #queueMax: number;
  readonly #now: Now;

  /**
   * @param slot of this event loop. @param maxInflight requests in the app, at least 1
   * @param queueMax requests that wait
   */
  constructor(table: SlotTable, slot: number, { maxInflight, queueMax }: PlaceLimits, now: Now) {
    this.#now = now;
    this.#table = table;
    this.#slot = slot;
    this.#limit = maxInflight;
    this.#queueMax = queueMax;
    table.use(slot);
  }

  /** The app is not on this event loop. */
  readonly areElsewhere: boolean = false;

  /** @returns whether there was a place that no other event loop's request is to have first */
  take(claim: Claim): boolean {
    return this.#add('inFlight', () => this.#sum('inFlight') + this.ahead(claim) - this.#limit);
  }

  free(): void {
    this.change('inFlight', -1);
  }

  /** @returns whether one more request may wait */
  join(): boolean {
    return this.#add('waiting', () => this.#sum('waiting') - this.#queueMax);
  }

  leave(): void {
    this.change('waiting', -1);
  }

  /** Whether any request waits, in any event loop. */
  get areWanted(): boolean {
    return this.#sum('waiting') > 0;
  }

  /**
   * Tells the other event loops of the oldest requests that wait here.
   * @param dueBy when this event loop looks for a free place again
   */
  announce(ordinary: Claim | undefined, priority: Claim | undefined, dueBy: number): void {
    this.#set('dueBy', timeWord(dueBy));
    this.#set('since', ordinary ? timeWord(ordinary.since) : 0);
    this.#set('prioritySince', priority ? timeWord(priority.since) : 0);
  }

  /** The number of other event loops whose oldest request is to have a place before this one. */
  ahead(claim: Claim): number {
    const time = timeWord(this.#now());
    let count = 0;
    for (let slot = 0, end = this.#table.end; slot < end; slot++) {
      if (slot !== this.#slot && this.#isAhead(slot, claim, time)) count++;
    }
    return count;
  }

  #isAhead(slot: number, { since, isPriority }: Claim, time: number): boolean {
    const priority = this.#get(slot, 'prioritySince');
    const ordinary = isPriority ? 0 : this.#get(slot, 'since');
    if (priority === 0 && ordinary === 0) return false;
    if (msFrom(this.#get(slot, 'dueBy'), time) > graceMs) return false; // its event loop is busy
    if (priority !== 0 && !isPriority) return true;
    return msFrom(priority || ordinary, timeWord(since)) > fairnessMs;
  }

  /** @param excess how many there are too many */
  #add(name: Word, excess: () => number): boolean {
    for (let tries = 0; tries < maxTries; tries++) {
      if (excess() >= 0) return false; // without a write, which would slow the others down
      this.change(name, 1);
      if (excess() <= 0) return true;
      this.change(name, -1);
    }
    return false;
  }

  #sum(name: Word): number {
    let sum = 0;
    for (let slot = 0, end = this.#table.end; slot < end; slot++) sum += this.#get(slot, name);
    return sum;
  }

  #get(slot: number, name: Word): number {
    return Atomics.load(this.#table.words, this.#table.at(slot, name));
  }

  #set(name: Word, value: number): void {
    Atomics.store(this.#table.words, this.#table.at(this.#slot, name), value);
  }

  protected change(name: Word, by: 1 | -1): void {
    Atomics.add(this.#table.words, this.#table.at(this.#slot, name), by);
  }
}

/** Milliseconds from one time to another, both words. */
function msFrom(from: number, to: number): number {
  return (to - from) | 0;
}
