// Which requests kill workers. One that was in flight at a death is a suspect; so were, most of the time, many others,
// which are answered elsewhere soon and thereby cleared. One that is in flight at death after death is refused.
import { EventEmitter } from 'node:events';
import type { Events, LostRequest, ServerEvent } from '../events.js';
import type { Fingerprint } from './fingerprint.js';
import type { Watched } from './watchlist.js';

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

/** A client can make up any number of requests; the oldest suspects are forgotten. */
const most = 1000;

export class Quarantine extends EventEmitter<{ change: [Watched] }> {
  readonly #events: Events;
  /** The one that was implicated last is last. */
  readonly #suspects = new Map<Fingerprint, Suspect & { readonly countedAt: number }>();
  /** Deaths after which one is refused; 0 refuses none. */
  after: number;

  constructor(after: number, events: Events) {
    super();
    this.setMaxListeners(0); // each worker is one
    this.after = after;
    this.#events = events;
    events.on('event', (event: ServerEvent) => {
      if (event.event === 'requests-lost') this.#implicate(event.requests);
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
      this.emit('change', this.watched);
    }
    return refused.length;
  }

  /** These were in flight at one death. */
  #implicate(requests: readonly LostRequest[]): void {
    if (this.after === 0 || requests.length === 0) return;
    const once = new Map(requests.map((request) => [request.fingerprint, request]));
    const [now, at] = [performance.now(), new Date().toISOString()];
    for (const [fingerprint, { method, url }] of once) {
      const known = this.#suspects.get(fingerprint);
      if (known && now - known.countedAt < spacing) continue;
      const deaths = (known?.deaths ?? 0) + 1;
      const isRefused = deaths >= this.after;
      this.#suspects.delete(fingerprint);
      this.#suspects.set(fingerprint, { fingerprint, method, url, deaths, at, isRefused, countedAt: now });
      if (deaths === this.after) this.#events.tell({ event: 'quarantined', method, url, fingerprint, deaths });
    }
    for (const [oldest] of this.#suspects) {
      if (this.#suspects.size <= most) break;
      this.#suspects.delete(oldest);
    }
    this.emit('change', this.watched);
  }

  /** It has been answered, by somebody who lives. */
  #clear(fingerprint: Fingerprint): void {
    // The others are not told: whoever answers it again says so once more, and that is cheaper.
    if (this.#suspects.get(fingerprint)?.isRefused === false) this.#suspects.delete(fingerprint);
  }
}
