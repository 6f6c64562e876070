// Finds the requests that kill workers. A request in flight at a death is a suspect. Most suspects were there by chance;
// another worker soon answers them, which clears them. A request in flight at death after death is refused.
import { EventEmitter } from 'node:events';
import { now } from '../clock.js';
import type { Config } from '../config/config.js';
import type { Events } from '../events.js';
import type { LostRequest } from '../reports/report.js';
import type { Reports } from '../reports/reports.js';
import type { DenylistEntries } from './denylist.js';
import type { Fingerprint } from './fingerprint.js';
import type { Suspect } from './suspect.js';

/**
 * Deaths closer together count as one: the other workers first need time to get the denylist and to answer the suspect.
 * So an app that keeps crashing at random gets no request refused.
 */
const deathSpacingMs = 250;

/** A suspect expires after an hour without another death. */
const suspectTtlMs = 3_600_000;

/** A request older than this, plus the time to detect a hang, is no suspect: a stream is in flight at each death. */
const longRequestMs = 60_000;

/** Clients can invent any number of requests. Beyond this many, the oldest suspects are dropped. */
const maxSuspects = 1000;

/** Of the configuration. */
type QuarantineLimits = Pick<Config['lifecycle'], 'quarantineAfter' | 'hangTimeout'>;

export class Quarantine extends EventEmitter<{ change: [DenylistEntries] }> {
  readonly #events: Events;
  /** In the order of their last deaths. */
  readonly #suspects = new Map<Fingerprint, Suspect & { readonly countedAt: number }>();
  #isChangePending = false;
  /** A reload may change them. */
  limits: QuarantineLimits;

  constructor(limits: QuarantineLimits, reports: Reports, events: Events) {
    super();
    this.setMaxListeners(0); // each worker is one
    this.limits = limits;
    this.#events = events;
    reports.subscribe({
      'request-ended': (request) => {
        if (!request.isWanted && !request.answered?.isOver) this.#addSuspect(request);
      },
      'suspect-cleared': ({ fingerprint }) => this.#clearSuspect(fingerprint),
    });
  }

  get denylist(): DenylistEntries {
    const all = [...this.#suspects.values()];
    const of = (isRefused: boolean) => all.filter((one) => one.isRefused === isRefused).map((one) => one.fingerprint);
    return { suspects: of(false), refused: of(true) };
  }

  /** By their deaths, the most first: refused requests, then suspects. */
  list(): readonly Suspect[] {
    const all = [...this.#suspects.values()].map(({ countedAt: _, ...suspect }) => suspect);
    return all.sort((a, b) => b.deaths - a.deaths);
  }

  /** Removes all suspects and refused requests. @returns how many were refused */
  clear(): number {
    const { refused } = this.denylist;
    if (this.#suspects.size > 0) {
      this.#suspects.clear();
      this.#emitChange();
    }
    return refused.length;
  }

  /** The request was in flight at a death. */
  #addSuspect({ fingerprint, method, url, ageMs }: LostRequest): void {
    if (this.limits.quarantineAfter === 0 || ageMs >= longRequestMs + 2 * this.limits.hangTimeout) return;
    const time = now();
    const known = this.#suspects.get(fingerprint);
    if (known && time - known.countedAt < deathSpacingMs) return;
    const deaths = (known?.deaths ?? 0) + 1;
    const isRefused = deaths >= this.limits.quarantineAfter;
    const at = new Date().toISOString();
    this.#suspects.delete(fingerprint);
    this.#suspects.set(fingerprint, { fingerprint, method, url, deaths, at, isRefused, countedAt: time });
    if (deaths === this.limits.quarantineAfter)
      this.#events.tell({ event: 'quarantined', method, url, fingerprint, deaths });
    this.#expire(time);
    this.#emitChange();
  }

  /** Drops suspects that are too old, and any entries beyond `maxSuspects`. The oldest are first. */
  #expire(time: number): void {
    for (const [fingerprint, { countedAt, isRefused }] of this.#suspects) {
      const isExpired = !isRefused && time - countedAt > suspectTtlMs;
      if (isExpired || this.#suspects.size > maxSuspects) this.#suspects.delete(fingerprint);
      else if (time - countedAt <= suspectTtlMs) break;
    }
  }

  /** One event for all requests of a death. */
  #emitChange(): void {
    if (this.#isChangePending) return;
    this.#isChangePending = true;
    setImmediate(() => {
      this.#isChangePending = false;
      this.emit('change', this.denylist);
    });
  }

  /** A worker has answered the request, and lives. */
  #clearSuspect(fingerprint: Fingerprint): void {
    // No change event: other workers that answer it report it once more, which is cheaper.
    if (this.#suspects.get(fingerprint)?.isRefused === false) this.#suspects.delete(fingerprint);
  }
}
