// The places of a process that hands requests to its threads: as many as these can take, whatever other processes have. Only
// the limit on waiting requests is common to all.
import { type Claim, Places } from './places.js';
import type { Now, SlotTable } from './slots.js';

/** Where requests are handed to. */
export interface Room {
  /** Whether one more request can be handled, besides those that have taken places. */
  hasRoom(taken: number): boolean;
  /** Called when there may be more room, other than by the end of a request that had a place. */
  onRoom: () => void;
}

export class LocalPlaces extends Places {
  override readonly areElsewhere = true;
  readonly #room: Room;
  #taken = 0;

  constructor(table: SlotTable, slot: number, queueMax: number, now: Now, room: Room) {
    super(table, slot, { maxInflight: Number.POSITIVE_INFINITY, queueMax }, now);
    this.#room = room;
  }

  override take(_: Claim): boolean {
    if (!this.#room.hasRoom(this.#taken)) return false;
    this.#taken++;
    this.change('inFlight', 1);
    return true;
  }

  /** As `join`, for a request that has a place, which is free then. */
  rejoin(): boolean {
    if (!this.join()) return false;
    this.free();
    return true;
  }

  /** The request that has rejoined waits no more. */
  goOn(): void {
    this.leave();
    this.#taken++;
    this.change('inFlight', 1);
  }

  override free(): void {
    this.#taken--;
    super.free();
  }

  /** Another process has threads of its own. */
  override ahead(): number {
    return 0;
  }
}
