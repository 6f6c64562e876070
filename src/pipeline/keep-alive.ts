// Ends kept-alive connections that idle for too long, without a timer for each. Node starts one when an answer has
// ended and stops it when the next request begins, which costs a busy connection a twentieth of a small request.
// Here both only write down a time, and one interval looks at all connections. It relies on Node doing so by
// `socket.setTimeout()`; should that change, Node's own timers do the work.
import type { BackgroundTask } from '../activity.js';
import { now } from '../clock.js';
import type { Connection } from './connection.js';

/** Looked at eight times within the timeout, but neither more nor less often than so (milliseconds). */
const most = 500;
const least = 25;

export class KeepAlive implements BackgroundTask {
  readonly #connections: ReadonlySet<Connection>;
  readonly #interval: number;
  #timer: NodeJS.Timeout | undefined;
  /** The time of the last look: near enough, and free. */
  #time = 0;

  /** @param timeout milliseconds; 0 is none */
  constructor(connections: ReadonlySet<Connection>, timeout: number) {
    this.#connections = connections;
    this.#interval = timeout > 0 ? Math.min(most, Math.max(least, timeout / 8)) : 0;
  }

  watch(connection: Connection): void {
    if (this.#interval === 0) return;
    const { socket } = connection;
    const setTimeout = socket.setTimeout;
    let hasTimer = false;
    socket.setTimeout = (ms, callback) => {
      const simple = callback === undefined && !hasTimer;
      if (simple && ms === 0) {
        connection.idleUntil = Number.POSITIVE_INFINITY;
      } else if (simple && connection.betweenRequests) {
        connection.idleUntil = this.#time + this.#interval + ms;
      } else {
        hasTimer = ms > 0; // the app's own, which wants to be told of every byte
        setTimeout.call(socket, ms, callback);
      }
      return socket;
    };
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  start(): void {
    if (this.#interval === 0) return;
    this.#time = now();
    this.#timer = setInterval(() => {
      this.#time = now();
      for (const connection of this.#connections) {
        if (connection.idleUntil > this.#time) continue;
        connection.idleUntil = Number.POSITIVE_INFINITY;
        connection.socket.emit('timeout'); // what Node's own timer does; its http.Server then ends the connection
      }
    }, this.#interval);
    this.#timer.unref();
  }
}
