// Brings connections to their end here: requests in flight are finished, and the connections are given to others, where
// there are any who take them. Otherwise, or when little time is left for that, those that are idle are closed when they
// have been quiet for a while, so that a request on its way does not meet a closed socket.
import { now } from '../clock.js';
import type { WorkerEvent } from '../events.js';
import type { Carrier } from './carrier.js';
import type { Connection } from './connection.js';
import type { NamedResponse } from './response.js';

const interval = 100;

/** Others that drain at the same time have shut their doors by then: what they took, they would have to give on. */
const doorsMs = 30;

/** Of the event loop, in which a socket that was destroyed says so. */
const turns = 10;

/** On which nothing has ever come is given so much longer: its client has connected in order to ask. */
const freshness = 5;

export interface DrainOptions {
  /** An idle connection is closed after so long without a byte (milliseconds). */
  readonly quiet: number;
  /** Gives them to others; undefined where there is nobody. */
  readonly carrier: Carrier | undefined;
  /** For how long it may (milliseconds). */
  readonly carryMs: number;
  readonly tell: (event: WorkerEvent) => void;
}

export class Drain {
  readonly #connections: ReadonlySet<Connection>;
  readonly #options: DrainOptions;
  readonly #carryBy: number;
  readonly #keepSeatFrom: number;
  #carrier: Carrier | undefined;
  /** Bytes read on each connection at the last look, and since when it has been so many. */
  readonly #seen = new WeakMap<Connection, { bytes: number; since: number }>();

  constructor(connections: ReadonlySet<Connection>, options: DrainOptions) {
    this.#connections = connections;
    this.#options = options;
    this.#carrier = options.carrier;
    this.#carryBy = now() + options.carryMs;
    this.#keepSeatFrom = now() + options.carryMs / 4;
    this.#carrier?.holdFor(doorsMs);
    this.#expectEnds();
  }

  /** Settles when no connection is left. */
  async finish(deadline: AbortSignal): Promise<void> {
    await new Promise<void>((done) => {
      const look = () => {
        if (!deadline.aborted) this.#look(now());
        if (this.#connections.size > 0 && !deadline.aborted) return;
        clearInterval(timer);
        deadline.removeEventListener('abort', look);
        done();
      };
      const timer = setInterval(look, interval);
      deadline.addEventListener('abort', look);
      look();
    });
    this.#carrier?.stop();
    await this.#cut(now());
  }

  /** A request has come meanwhile: with its answer the connection ends, or can go. */
  expectEnd(response: NamedResponse): void {
    const carrier = this.#carrier;
    if (carrier) response.once('close', () => carrier.look());
    // An answer that has not begun can still say that it is the connection's last.
    else if (!response.headersSent) response.shouldKeepAlive = false;
  }

  /** Nobody takes connections any more. */
  stay(): void {
    if (!this.#carrier) return;
    this.#carrier.stop();
    this.#carrier = undefined;
    this.#expectEnds();
  }

  #expectEnds(): void {
    for (const { response } of this.#connections) if (response) this.expectEnd(response);
  }

  /** A connection has come meanwhile. */
  look(): void {
    this.#carrier?.look();
  }

  #look(time: number): void {
    if (this.#carrier?.isOff || time > this.#carryBy) this.stay();
    if (time > this.#keepSeatFrom) this.#carrier?.keepSeat();
    if (this.#carrier) this.#carrier.look();
    else this.#closeQuiet(time);
  }

  /** Settles when their ends have been heard of, so that nobody takes what is cut here for lost. */
  async #cut(time: number): Promise<void> {
    for (const connection of this.#connections) {
      const request = connection.inFlight(time);
      if (request) this.#options.tell({ event: 'request-cut', ...request });
      connection.socket.destroy();
    }
    for (let turn = 0; turn < turns && this.#connections.size > 0; turn++) {
      await new Promise((next) => setImmediate(next));
    }
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
