// Brings connections to their end: requests in flight are finished, idle connections are closed when they have
// been quiet for a while, so that a request on its way does not meet a closed socket.
import { now } from '../clock.js';
import type { WorkerEvent } from '../events.js';
import type { Connection } from './connection.js';

const interval = 100;

/** Of the event loop, in which a socket that was destroyed says so. */
const turns = 10;

/** On which nothing has ever come is given so much longer: its client has connected in order to ask. */
const freshness = 5;

export class Drain {
  readonly #connections: ReadonlySet<Connection>;
  readonly #quiet: number;
  readonly #freshQuiet: number;
  readonly #tell: (event: WorkerEvent) => void;
  /** Bytes read on each connection at the last look, and since when it has been so many. */
  readonly #seen = new WeakMap<Connection, { bytes: number; since: number }>();

  /** @param quiet an idle connection is closed after so long without a byte (milliseconds) */
  constructor(connections: ReadonlySet<Connection>, quiet: number, tell: (event: WorkerEvent) => void) {
    this.#tell = tell;
    this.#connections = connections;
    this.#quiet = quiet;
    this.#freshQuiet = freshness * quiet;
    for (const { response } of connections) {
      // An answer that has not begun can still say that it is the connection's last.
      if (response && !response.headersSent) response.shouldKeepAlive = false;
    }
  }

  /** Settles when no connection is left. */
  async finish(deadline: AbortSignal): Promise<void> {
    await new Promise<void>((done) => {
      const look = () => {
        if (!deadline.aborted) this.#closeQuiet(now());
        if (this.#connections.size > 0 && !deadline.aborted) return;
        clearInterval(timer);
        deadline.removeEventListener('abort', look);
        done();
      };
      const timer = setInterval(look, interval);
      deadline.addEventListener('abort', look);
      look();
    });
    await this.#cut(now());
  }

  /** Settles when their ends have been heard of, so that nobody takes what is cut here for lost. */
  async #cut(time: number): Promise<void> {
    for (const connection of this.#connections) {
      const request = connection.inFlight(time);
      if (request) this.#tell({ event: 'request-cut', ...request });
      connection.socket.destroy();
    }
    for (let turn = 0; turn < turns && this.#connections.size > 0; turn++) {
      await new Promise((next) => setImmediate(next));
    }
  }

  #closeQuiet(time: number): void {
    for (const connection of this.#connections) {
      const bytes = connection.socket.bytesRead;
      const seen = this.#seen.get(connection);
      if (seen?.bytes !== bytes) this.#seen.set(connection, { bytes, since: time });
      else if (connection.betweenRequests && time - seen.since >= (bytes === 0 ? this.#freshQuiet : this.#quiet)) {
        connection.socket.destroy();
      }
    }
  }
}
