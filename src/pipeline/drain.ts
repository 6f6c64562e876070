// Brings connections to their end here: requests in flight are finished, and the connections are given to others, where
// there are any who take them. Otherwise, or when little time is left for that, those that are idle are closed when they
// have been quiet for a while, so that a request on its way does not meet a closed socket.
import { msUntil, now } from '../clock.js';
import type { WorkerEvent } from '../events.js';
import type { MigrationSender } from '../migration/sender.js';
import type { Connection } from './connection.js';
import type { NamedResponse } from './response.js';

const interval = 100;

/** Of the time to drain, the last part, in which connections are not given away any more but ended in order. */
export const closingShare = 0.25;

/** After this part of it a credit is kept until a connection comes to rest. */
const keepCreditShare = (1 - closingShare) / 4;

/** That a migration takes longer is said this often (milliseconds). */
const tellEvery = 1000;

/** Others that drain at the same time have shut their doors by then: what they took, they would have to give on. */
const doorsMs = 30;

/** Of the event loop, in which a socket that was destroyed says so. */
const turns = 10;

/** On which nothing has ever come is given so much longer: its client has connected in order to ask. */
const freshness = 5;

/** Connections are given to others for as long as that goes on. */
export interface Migration {
  /** It is given up when no connection at all has gone over for so long (milliseconds), but not before `carryMs`. */
  readonly stallMs: number;
  /** Called again and again, for longer than the time to drain if need be. */
  readonly onMigrating: () => void;
}

export interface DrainOptions {
  /** An idle connection is closed after so long without a byte (milliseconds). */
  readonly quiet: number;
  /** For how long it may take (milliseconds), but for connections that wait for their turn to migrate. */
  readonly ms: number;
  /** Gives them to others; undefined where there is nobody. */
  readonly sender: MigrationSender<Connection> | undefined;
  readonly migration: Migration | undefined;
  readonly tell: (event: WorkerEvent) => void;
}

export class Drain {
  readonly #connections: ReadonlySet<Connection>;
  readonly #options: DrainOptions;
  readonly #stallMs: number;
  readonly #keepCreditFrom: number;
  #sender: MigrationSender<Connection> | undefined;
  /** As far as it is known now, connections go over until then: later, if others still do. */
  #carryBy: number;
  /** The counter of all migrated connections at the last look. */
  #migratedCount: string | undefined;
  /** When it is told again that it takes longer. */
  #tellFrom: number;
  /** What is left then is cut. */
  #endBy: number;
  /** Bytes read on each connection at the last look, and since when it has been so many. */
  readonly #seen = new WeakMap<Connection, { bytes: number; since: number }>();

  constructor(connections: ReadonlySet<Connection>, options: DrainOptions) {
    this.#connections = connections;
    this.#options = options;
    this.#sender = options.sender;
    const began = now();
    const { ms, migration } = options;
    const carryMs = ms * (1 - closingShare);
    this.#migratedCount = this.#sender?.migratedCount;
    this.#stallMs = this.#migratedCount === undefined ? 0 : Math.max(carryMs, migration?.stallMs ?? 0);
    this.#carryBy = began + Math.max(carryMs, this.#stallMs);
    this.#tellFrom = began + carryMs;
    this.#keepCreditFrom = began + ms * keepCreditShare;
    this.#endBy = began + ms;
    this.#sender?.holdFor(doorsMs);
    this.#expectEnds();
  }

  /** Settles when no connection is left. */
  async finish(): Promise<void> {
    await new Promise<void>((done) => {
      const look = () => {
        const time = now();
        this.#look(time);
        const isOver = time >= this.#endBy && !this.#sender;
        if (this.#connections.size > 0 && !isOver) return;
        clearInterval(timer);
        clearTimeout(end);
        done();
      };
      const timer = setInterval(look, interval);
      const end = setTimeout(look, msUntil(this.#endBy) + 1);
      look();
    });
    this.#sender?.stop();
    await this.#cut(now());
  }

  /** A request has come meanwhile: with its answer the connection ends, or can go. */
  expectEnd(response: NamedResponse): void {
    const sender = this.#sender;
    if (sender) response.once('close', () => sender.look());
    // An answer that has not begun can still say that it is the connection's last.
    else if (!response.headersSent) response.shouldKeepAlive = false;
  }

  /** No connection migrates any more. */
  stopMigration(): void {
    if (!this.#sender) return;
    this.#sender.stop();
    this.#sender = undefined;
    // What has waited for longer than it was to take has as much time as any to end in order.
    if (now() > this.#tellFrom) this.#endBy = Math.max(this.#endBy, now() + this.#options.ms * closingShare);
    this.#expectEnds();
  }

  #expectEnds(): void {
    for (const { response } of this.#connections) if (response) this.expectEnd(response);
  }

  /** A connection has come meanwhile. */
  look(): void {
    this.#sender?.look();
  }

  #look(time: number): void {
    if (this.#sender?.hasStopped || (time > this.#keepCreditFrom && !this.#isMoving(time))) this.stopMigration();
    if (time >= this.#endBy && this.#sender) this.#cutOverdue(time);
    if (time > this.#keepCreditFrom) this.#sender?.keepCredit();
    if (this.#sender) this.#sender.look();
    else this.#closeQuiet(time);
  }

  /**
   * A connection that could go and has no credit waits for this server, not for its client or the app: on a slow machine
   * each takes a while. As long as some go over, or a start may still bring a credit, the others are not given up.
   */
  #isMoving(time: number): boolean {
    const count = this.#sender?.migratedCount;
    if (count !== this.#migratedCount) this.#carryBy = Math.max(this.#carryBy, time + this.#stallMs);
    this.#migratedCount = count;
    if (time > this.#carryBy) return false;
    if (this.#sender && time >= this.#tellFrom) {
      this.#tellFrom = time + tellEvery;
      this.#options.migration?.onMigrating();
    }
    return true;
  }

  /** Requests that have had their time, though connections at rest still have some. */
  #cutOverdue(time: number): void {
    for (const connection of this.#connections) {
      if ((connection.inFlight(time)?.ageMs ?? 0) >= this.#options.ms) this.#cutOne(connection, time);
    }
  }

  /** Settles when their ends have been heard of, so that nobody takes what is cut here for lost. */
  async #cut(time: number): Promise<void> {
    for (const connection of this.#connections) this.#cutOne(connection, time);
    for (let turn = 0; turn < turns && this.#connections.size > 0; turn++) {
      await new Promise((next) => setImmediate(next));
    }
  }

  #cutOne(connection: Connection, time: number): void {
    const request = connection.inFlight(time);
    if (request) this.#options.tell({ event: 'request-cut', ...request });
    connection.socket.destroy();
  }

  #closeQuiet(time: number): void {
    const { quiet } = this.#options;
    for (const connection of this.#connections) {
      const bytes = connection.socket.bytesRead;
      const seen = this.#seen.get(connection);
      if (seen?.bytes !== bytes) this.#seen.set(connection, { bytes, since: time });
      else if (connection.betweenRequests && time - seen.since >= (bytes === 0 ? freshness * quiet : quiet)) {
        connection.socket.destroy();
      }
    }
  }
}
