// What all workers of a server are doing, as the supervisor knows it. Clients that ask at the same time share one look, so
// that many of them cost no more than one.
import { now } from '../clock.js';
import type { Look } from './loop-view.js';

/** A client that asks within this time after a look gets the same rows (milliseconds). */
const sharedMs = 200;

export class Scoreboard<Row> {
  readonly #look: (how: Look) => Promise<readonly Row[]>;
  readonly #shared = new Map<Look, { readonly rows: Promise<readonly Row[]>; readonly at: number }>();

  /** @param look asks all workers; never rejects, and settles within a bounded time */
  constructor(look: (how: Look) => Promise<readonly Row[]>) {
    this.#look = look;
  }

  rows(how: Look): Promise<readonly Row[]> {
    const shared = this.#shared.get(how);
    if (shared && now() - shared.at < sharedMs) return shared.rows;
    const rows = this.#look(how);
    // The time counts from the answer on: while one look is under way, there is no other.
    const current = { rows, at: Number.POSITIVE_INFINITY };
    this.#shared.set(how, current);
    void rows.finally(() => {
      current.at = now();
    });
    return rows;
  }
}
