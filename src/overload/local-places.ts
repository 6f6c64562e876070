// The places of a process that hands requests to its threads: as many as these can take, whatever other processes have. Only
// the limit on waiting requests is common to all; those that wait in a thread count, too.
import { type Claim, Places } from './places.js';
import type { Now, SlotTable } from './slots.js';

/** Where requests are handed to. */
export interface Room {
  /** Whether one more request can be handled, besides those that have taken places. */
  hasRoom(taken: number): boolean;
  /** How many of so many requests that have taken places wait there. */
  waitingOf(taken: number): number;
  /** Called when there may be more room, other than by the end of a request that had a place. */
  onRoom: () => void;
}

export class LocalPlaces extends Places {
  override readonly areElsewhere = true;
  readonly #room: Room;
  #taken = 0;
  /** Requests with places that wait in threads, as they are counted. */
  #waiting = 0;

  constructor(table: SlotTable, slot: number, queueMax: number, now: Now, room: Room) {
    super(table, slot, { maxInflight: Number.POSITIVE_INFINITY, queueMax }, now);
    this.#room = room;
  }

  override take(_: Claim): boolean {
    if (!this.#room.hasRoom(this.#taken)) return false;
    if (this.#room.waitingOf(this.#taken + 1) > this.#waiting) {
      if (!this.join()) return false;
      this.#waiting++;
    }
    this.#taken++;
    this.change('inFlight', 1);
    return true;
  }

  override free(): void {
    this.#taken--;
    super.free();
    this.settle();
  }

  /** As `join`, for a request that has a place, which is free then. */
  rejoin(): boolean {
    this.free();
    if (this.join()) return true;
    this.#takeAnyway();
    return false;
  }

  /** The request that has rejoined waits no more. */
  goOn(): void {
    this.leave();
    this.#takeAnyway();
  }

  /** Counts those that wait in threads again: there are more threads, or fewer. */
  settle(): void {
    const waiting = this.#room.waitingOf(this.#taken);
    for (; this.#waiting > waiting; this.#waiting--) this.leave();
    for (; this.#waiting < waiting; this.#waiting++) this.change('waiting', 1);
  }

  /** Another process has threads of its own. */
  override ahead(): number {
    return 0;
  }

  #takeAnyway(): void {
    this.#taken++;
    this.change('inFlight', 1);
    this.settle();
  }
}
