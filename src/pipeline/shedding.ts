// Load shedding: at the connection limit, closes the connections with the slowest clients, a few at a time, so that new
// clients need not wait (nginx does so with idle connections). The acceptor decides when.
import { slowestFirst } from '../balance/slowest.js';
import { now } from '../clock.js';
import type { Connection } from './connection.js';

/** How often the progress of clients is measured near the connection limit. */
const measureIntervalMs = 500;
/** The fraction of the limit above which progress is measured. */
const measureFraction = 0.75;

export class Shedding {
  readonly #connections: ReadonlySet<Connection>;
  readonly #maxConnections: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(connections: ReadonlySet<Connection>, maxConnections: number) {
    this.#connections = connections;
    this.#maxConnections = maxConnections;
  }

  /** Call when a connection was added: starts to measure progress near the limit. */
  added(): void {
    if (this.#timer || !this.#isNearLimit) return;
    this.#timer = setInterval(() => {
      if (this.#isNearLimit) this.#measure();
      else this.stop();
    }, measureIntervalMs);
    this.#timer.unref();
  }

  /** Closes the slowest connections. @returns how many; 0 if no client is slow */
  shed(): number {
    const slowest = slowestFirst(this.#measure());
    for (const connection of slowest) connection.close('shed');
    return slowest.length;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  get #isNearLimit(): boolean {
    return this.#connections.size >= this.#maxConnections * measureFraction;
  }

  #measure(): [Connection, number][] {
    const time = now();
    return [...this.#connections].map((connection) => [connection, connection.idleFor(time)]);
  }
}
