// --keep-alive-timeout with one interval for all connections. Node starts a timer for the connection after each
// response and stops it at the next request, which costs 5 % of a small request. This class replaces
// `socket.setTimeout()`, which Node calls for that, with one that only stores a time. If Node stops calling it, Node's
// own timers still work.
import type { BackgroundTask } from '../activity.js';
import { now } from '../clock.js';
import type { Connection } from './connection.js';

/** Connections are checked eight times within the timeout, but within these limits. */
const maxIntervalMs = 500;
const minIntervalMs = 25;

export class KeepAlive implements BackgroundTask {
  readonly #connections: ReadonlySet<Connection>;
  readonly #intervalMs: number;
  #timer: NodeJS.Timeout | undefined;
  /** The time of the last check: precise enough, and cheaper than `now()`. */
  #time = 0;

  /** @param timeout milliseconds; 0 turns it off */
  constructor(connections: ReadonlySet<Connection>, timeout: number) {
    this.#connections = connections;
    this.#intervalMs = timeout > 0 ? Math.min(maxIntervalMs, Math.max(minIntervalMs, timeout / 8)) : 0;
  }

  watch(connection: Connection): void {
    if (this.#intervalMs === 0) return;
    const { socket } = connection;
    const setTimeout = socket.setTimeout;
    let hasTimer = false;
    socket.setTimeout = (ms, callback) => {
      const isNodes = callback === undefined && !hasTimer;
      if (isNodes && ms === 0) {
        connection.idleUntil = Number.POSITIVE_INFINITY;
      } else if (isNodes && connection.betweenRequests) {
        connection.idleUntil = this.#time + this.#intervalMs + ms;
      } else {
        hasTimer = ms > 0; // a timeout of the app, which every byte must reset
        setTimeout.call(socket, ms, callback);
      }
      return socket;
    };
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  start(): void {
    if (this.#intervalMs === 0) return;
    this.#time = now();
    this.#timer = setInterval(() => {
      this.#time = now();
      for (const connection of this.#connections) {
        if (connection.idleUntil > this.#time) continue;
        connection.idleUntil = Number.POSITIVE_INFINITY;
        connection.timeOut();
      }
    }, this.#intervalMs);
    this.#timer.unref();
  }
}
