// What the dashboard shows of the last 15 minutes: a point each second, events, and lines of the log. Of a fixed size.
import { now } from '../clock.js';
import type { Counts } from '../metrics/totals.js';
import type { LiveUpdate, RatePoint, TimelineEvent } from './live.js';
import { LogTail } from './log-tail.js';
import { ratesOf } from './rates.js';
import { Ring } from './ring.js';

export const maxPoints = 900;
export const maxEvents = 200;

/** All that a history has, as the successor of an upgrade gets it. Other versions of mpserve read it, so fields keep their names. */
export interface HistoryItems {
  readonly points: readonly RatePoint[];
  readonly events: readonly TimelineEvent[];
  /** As they were written. */
  readonly log: readonly string[];
}

/** Numbers of the next items of each kind. */
export interface Position {
  readonly points: number;
  readonly events: number;
  readonly log: number;
}

export class History {
  readonly log = new LogTail();
  readonly #points = new Ring<RatePoint>(maxPoints);
  readonly #happened = new Ring<TimelineEvent>(maxEvents);
  #last: { readonly counts: Counts; readonly at: number } | undefined;

  /** @param before of the server before this one */
  constructor({ points = [], events = [], log = [] }: Partial<HistoryItems> = {}) {
    for (const point of points) this.#points.push(point);
    for (const event of events) this.#happened.push(event);
    for (const line of log) this.log.add(line);
  }

  /** Adds a point: what was counted since the last call. */
  sample(counts: Counts, connections: number): void {
    const at = now();
    if (this.#last && at > this.#last.at) {
      const rates = ratesOf(this.#last.counts, counts, (at - this.#last.at) / 1000);
      this.#points.push({ at: Date.now(), ...rates, connections });
    }
    this.#last = { counts, at };
  }

  add(event: TimelineEvent): void {
    this.#happened.push(event);
  }

  get end(): Position {
    return { points: this.#points.end, events: this.#happened.end, log: this.log.end };
  }

  get items(): HistoryItems {
    const { points, events } = this.slice(beginning, this.end);
    return { points, events, log: this.log.written };
  }

  slice(from: Position, to: Position): Pick<LiveUpdate, 'points' | 'events' | 'log'> {
    return {
      points: this.#points.slice(from.points, to.points),
      events: this.#happened.slice(from.events, to.events),
      log: this.log.slice(from.log, to.log),
    };
  }
}

export const beginning: Position = { points: 0, events: 0, log: 0 };
