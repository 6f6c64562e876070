// Closes the long-lived connections of a worker that drains, WebSockets and event streams, so that their clients connect
// again: not all at once, but at random times within --ws-drain.
import { now } from '../clock.js';
import type { Connection } from './connection.js';
import { eventStreamOf } from './event-stream.js';
import type { LongLived } from './long-lived.js';

export class PacedClosing {
  readonly #connections: ReadonlySet<Connection>;
  /** By then all are closed. */
  readonly #until: number;
  readonly #answerMs: number;
  readonly #dueAt = new WeakMap<LongLived, number>();
  /** The server stops, so that clients have nothing to return to. */
  isStop: boolean;

  /**
   * @param wsDrain within which they are closed, from now on (milliseconds)
   * @param answerMs the last part of the time to drain, in which clients answer (milliseconds)
   */
  constructor(connections: ReadonlySet<Connection>, wsDrain: number, answerMs: number, isStop: boolean) {
    this.#connections = connections;
    this.#until = now() + wsDrain;
    this.#answerMs = answerMs;
    this.isStop = isStop;
  }

  /** Closes those whose time has come. Call it often. */
  check(time: number): void {
    for (const connection of this.#connections) {
      const { webSocket, response } = connection;
      const one = webSocket ?? (response && eventStreamOf(response));
      if (!one || time < this.#dueTime(one, time)) continue;
      connection.closesFor('drain');
      one.close(this.isStop, this.#answerMs);
    }
  }

  #dueTime(one: LongLived, time: number): number {
    const known = this.#dueAt.get(one);
    if (known !== undefined) return known;
    const dueAt = time + Math.random() * Math.max(0, this.#until - time);
    this.#dueAt.set(one, dueAt);
    return dueAt;
  }
}
