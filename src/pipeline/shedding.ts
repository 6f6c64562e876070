// Keeps a crowded server reachable: closes the connections whose clients have kept it waiting longest, some at a
// time (as nginx does with its idle connections), rather than let everybody wait. When is for others to say.
import { slowestFirst } from '../balance/slowest.js';
import { now } from '../clock.js';
import type { Connection } from './connection.js';

/** How often the progress of clients is noted while it is crowded (milliseconds). */
const interval = 500;
/** It is crowded from this share of the limit on. */
const crowded = 0.75;

export class Shedding {
  readonly #connections: ReadonlySet<Connection>;
  readonly #limit: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(connections: ReadonlySet<Connection>, limit: number) {
    this.#connections = connections;
    this.#limit = limit;
  }

  /** Call when a connection was added: from here on progress is noted if it is crowded. */
  added(): void {
    if (this.#timer || this.#connections.size < this.#limit * crowded) return;
    this.#timer = setInterval(() => {
      if (this.#connections.size < this.#limit * crowded) this.stop();
      else this.#look();
    }, interval);
    this.#timer.unref();
  }

  /** Closes the slowest connections. @returns how many; 0 when no client has exhausted our patience. */
  shed(): number {
    const chosen = slowestFirst(this.#look());
    for (const { socket } of chosen) socket.destroy();
    return chosen.length;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): [Connection, number][] {
    const time = now();
    return [...this.#connections].map((connection) => [connection, connection.idleFor(time)]);
  }
}
