// Which requests kill workers. One that was in flight at a death is a suspect; so were, most of the time, many others,
// which are answered elsewhere soon and thereby cleared. One that is in flight at death after death is refused.

import { EventEmitter } from 'node:events';
import { now } from '../clock.js';
import type { Config } from '../config/config.js';
import type { Events, LostRequest, ServerEvent } from '../events.js';
import type { Watched } from './denylist.js';
import type { Fingerprint } from './fingerprint.js';

/** What is known of one; an entry of the list that operators see. */
export interface Suspect {
  readonly fingerprint: Fingerprint;
  readonly method: string;
  readonly url: string;
  /** Deaths and hangs of workers or threads at which it was in flight. */
  readonly deaths: number;
  /** When it was last in flight at one (ISO 8601). */
  readonly at: string;
  readonly isRefused: boolean;
}

/**
 * Deaths that follow each other faster count as one (milliseconds): by then those who live have been told whom to watch,
 * and have answered it if it can be answered. An app that dies by chance, all the time, is none that a request kills.
 */
const spacing = 250;

/**
 * Who has not been in flight at a death for so long is no suspect any more; nor is who had been served for so long at one
 * and longer than a hang takes to be found: a stream that lives for hours is in flight at each (milliseconds).
 */
const forgotten = 3_600_000;
const longServed = 60_000;

/** A client can make up any number of requests; the oldest suspects are forgotten. */
const most = 1000;

export class Quarantine extends EventEmitter<{ change: [Watched] }> {
  readonly #events: Events;
  /** The one that was implicated last is last. */
  readonly #suspects = new Map<Fingerprint, Suspect & { readonly countedAt: number }>();
  #isAnnounced = false;
  /** Deaths after which one is refused; 0 refuses none. */
  after: number;
  /** Milliseconds after which an event loop that stands still is ended. */
  hangMs: number;

  constructor({ quarantineAfter, hangTimeout }: Pick<Config, 'quarantineAfter' | 'hangTimeout'>, events: Events) {
    super();
    this.setMaxListeners(0); // each worker is one
    this.after = quarantineAfter;
    this.hangMs = hangTimeout;
    this.#events = events;
    events.on('event', (event: ServerEvent) => {
      if (event.event === 'request-lost' || (event.event === 'request' && event.isSuspect)) this.#implicate(event);
      else if (event.event === 'suspect-cleared') this.#clear(event.fingerprint);
    });
  }

  get watched(): Watched {
    const all = [...this.#suspects.values()];
    const of = (isRefused: boolean) => all.filter((one) => one.isRefused === isRefused).map((one) => one.fingerprint);
    return { suspects: of(false), refused: of(true) };
  }

  /** Those that are refused, then those that may be. */
  list(): readonly Suspect[] {
    const all = [...this.#suspects.values()].map(({ countedAt: _, ...suspect }) => suspect);
    return all.sort((a, b) => b.deaths - a.deaths);
  }

  /** Forgets all. @returns how many were refused */
  release(): number {
    const { refused } = this.watched;
    if (this.#suspects.size > 0) {
      this.#suspects.clear();
      this.#announce();
    }
    return refused.length;
  }

  /** It was in flight at a death. */
  #implicate({ fingerprint, method, url, ageMs }: LostRequest): void {
    if (this.after === 0 || ageMs >= longServed + 2 * this.hangMs) return;
    const time = now();
    const known = this.#suspects.get(fingerprint);
    if (known && time - known.countedAt < spacing) return;
    const deaths = (known?.deaths ?? 0) + 1;
    const isRefused = deaths >= this.after;
    const at = new Date().toISOString();
    this.#suspects.delete(fingerprint);
    this.#suspects.set(fingerprint, { fingerprint, method, url, deaths, at, isRefused, countedAt: time });
    if (deaths === this.after) this.#events.tell({ event: 'quarantined', method, url, fingerprint, deaths });
    this.#forget(time);
    this.#announce();
  }

  /** Those that have been here for longest are first. */
  #forget(time: number): void {
    for (const [fingerprint, { countedAt, isRefused }] of this.#suspects) {
      const isOld = !isRefused && time - countedAt > forgotten;
      if (isOld || this.#suspects.size > most) this.#suspects.delete(fingerprint);
      else if (time - countedAt <= forgotten) break;
    }
  }

  /** Once for all that a death has brought. */
  #announce(): void {
    if (!this.#isAnnounced) setImmediate(() => this.#tellAll());
    this.#isAnnounced = true;
  }

  #tellAll(): void {
    this.#isAnnounced = false;
    this.emit('change', this.watched);
  }

  /** It has been answered, by somebody who lives. */
  #clear(fingerprint: Fingerprint): void {
    // The others are not told: whoever answers it again says so once more, and that is cheaper.
    if (this.#suspects.get(fingerprint)?.isRefused === false) this.#suspects.delete(fingerprint);
  }
}
