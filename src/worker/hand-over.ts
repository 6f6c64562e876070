// The connections that a host hands to one of its workers, from the hand-over until they end, and how quickly the worker
// comes to them. A connection that the worker has not read from is still the host's when the worker dies.
import { LoopSamples } from '../balance/loop-samples.js';
import { now } from '../clock.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { keepUnread, takeBack } from '../connection/unread-copies.js';
import { deferred } from '../deferred.js';
import type { Unit } from './runtime.js';

/** How a connection has ended: `unread`, its worker has died before it read from it, and it is the caller's again. */
export type Ending = 'over' | 'unread';

/**
 * What came of handing a connection over: `refused`, it is the caller's again; `gone`, its client has gone; or it was taken,
 * and ends some day.
 */
export type Given = 'refused' | 'gone' | { readonly ended: Promise<Ending> };

interface Pending {
  readonly answer: (given: Given) => void;
  readonly connection: IncomingConnection;
  readonly end: (ending: Ending) => void;
  readonly ended: Promise<Ending>;
  isTaken: boolean;
}

/**
 * A worker that has not taken a connection within this time gets no further ones until it does, and one that has refused a
 * connection gets none for as long (milliseconds).
 */
const silentAfterMs = 500;

export class HandOver {
  readonly #unit: Unit;
  readonly #loop = new LoopSamples(now());
  /** Connections that were handed over and have not ended, by their numbers, which go up. */
  readonly #pending = new Map<number, Pending>();
  #handed = 0;
  /** `Unit.handled` at the last look, and since when it has not changed. */
  #handled = 0;
  #handledAt = 0;
  /** When the worker last refused a connection: it had no descriptor for it, or was about to end. */
  #refusedAt = Number.NEGATIVE_INFINITY;
  /** Connections that were taken back and that the worker's event loop has not come to yet. */
  #revoked = 0;

  constructor(unit: Unit) {
    this.#unit = unit;
  }

  /** As `Worker.give`, of a worker that still takes connections. */
  give(connection: IncomingConnection): Promise<Given> {
    void this.isUnresponsive; // looks
    const id = this.#handed + 1;
    const { promise: ended, resolve: end } = deferred<Ending>();
    return new Promise((answer, fail) => {
      this.#pending.set(id, { connection, answer, end, ended, isTaken: false });
      try {
        if (this.#unit.hand(connection, id)) {
          this.#handed = id;
          return;
        }
        answer('gone');
      } catch (error) {
        fail(error);
      }
      this.#pending.delete(id);
    });
  }

  /** As `Worker.revoke`. */
  revoke(): void {
    const handled = this.#unit.revoke?.(this.#handed);
    if (handled === undefined) return;
    for (const id of [...this.#pending.keys()]) {
      if (id <= handled) continue;
      this.#revoked++;
      this.#giveBack(id);
    }
  }

  /** The worker has taken the connection. */
  taken(id: number): void {
    this.#settleTaken(id);
    const connection = this.#pending.get(id)?.connection;
    if (connection) keepUnread(connection);
  }

  /** The worker has refused the connection. */
  refused(id: number): void {
    this.#refusedAt = now();
    this.#giveBack(id);
  }

  /** The connection has ended. Where the worker says `taken` in shared memory, that is the first that is heard of it. */
  ended(id: number): void {
    const pending = this.#pending.get(id);
    if (!pending) {
      if (this.#revoked > 0) this.#revoked--;
      return;
    }
    if (!pending.isTaken && id > this.#unit.handled) return; // it has not been taken
    this.#settleTaken(id);
    pending.connection.close(); // our copy
    pending.end('over');
    this.#pending.delete(id);
  }

  /**
   * The worker has ended. What it had not taken, or not read from, is still the host's to place; what it had is lost.
   * @returns how many connections it had, without those that it had not read from
   */
  workerEnded(isWanted: boolean): number {
    let connections = this.active;
    for (const [id, { isTaken, connection, end }] of [...this.#pending]) {
      // One that was told to end may have sent it on.
      if (isTaken && !isWanted && takeBack(connection)) {
        connections--;
        end('unread');
        this.#pending.delete(id);
      } else if (isTaken || id <= this.#unit.handled) this.ended(id);
      else this.#giveBack(id);
    }
    return connections;
  }

  /** Connections that were handed over and have not ended. */
  get active(): number {
    return this.#pending.size;
  }

  /** Connections that were handed over so far. */
  get placed(): number {
    return this.#handed;
  }

  /** The worker takes no connections: its event loop is blocked, or it has no descriptor left. */
  get isUnresponsive(): boolean {
    if (this.#revoked > 0 || now() - this.#refusedAt < silentAfterMs) return true;
    const { handled } = this.#unit;
    if (handled !== this.#handled) this.#loop.sawProgress();
    if (handled !== this.#handled || handled === this.#handed) {
      this.#handled = handled;
      this.#handledAt = now();
    }
    return now() - this.#handledAt > silentAfterMs;
  }

  /** As `Candidate.isBusy`. */
  get isBusy(): boolean {
    const isBusy = this.#unit.handled < this.#handed || this.#unit.waitsForEvents === false;
    this.#loop.add(isBusy, now());
    return isBusy;
  }

  get lagMs(): number {
    return this.#loop.lagAt(now());
  }

  get utilization(): number {
    return this.#loop.utilizationAt(now());
  }

  #settleTaken(id: number): void {
    const pending = this.#pending.get(id);
    if (!pending || pending.isTaken) return;
    pending.isTaken = true;
    pending.answer({ ended: pending.ended });
  }

  #giveBack(id: number): void {
    const pending = this.#pending.get(id);
    if (!pending || pending.isTaken) return;
    this.#pending.delete(id);
    pending.answer('refused');
  }
}
