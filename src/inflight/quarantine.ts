// Finds the requests that kill workers. A request is a suspect if it was on the stack at a death, or alone in flight; one
// that was only there is not. An answer clears a suspect, and one that counts at death after death is refused.
import { EventEmitter } from 'node:events';
import { msUntil, now } from '../clock.js';
import type { Config } from '../config/config.js';
import type { Events } from '../events.js';
import type { LostRequest } from '../reports/report.js';
import type { Reports } from '../reports/reports.js';
import type { DenylistEntries } from './denylist.js';
import type { Fingerprint } from './fingerprint.js';
import type { Suspect } from './suspect.js';

type Entry = Omit<Suspect, 'isRefused'> & {
  /** Its method and path. */
  readonly route: string;
  readonly countedAt: number;
  /** Its deaths, each worth half as much after `halfLifeMs`; at `countedAt`. */
  readonly weight: number;
  isRefused: boolean;
};

/**
 * Deaths closer together count as one: the other workers first need time to get the denylist and to answer the suspect.
 * So an app that keeps crashing at random gets no request refused.
 */
const deathSpacingMs = 250;

/** Old deaths count less: what killed workers then may have been mended, such as a database. */
const halfLifeMs = 3_600_000;

/** A suspect that weighs less is forgotten. */
const minWeight = 0.5;

/** After a death, workers find out for this time which request kills the next one. */
const searchMs = 600_000;

/** A request older than this, plus the time to detect a hang, is no suspect: a long poll is in flight at each death. */
const longRequestMs = 60_000;

/** Clients can invent any number of requests. Beyond this many, the oldest entries are dropped. */
const maxEntries = 1000;
/** Of the same method and path. */
const maxEntriesPerRoute = 32;

/** Of the configuration. */
type QuarantineLimits = Pick<Config['lifecycle'], 'quarantineAfter' | 'hangTimeout'>;

export class Quarantine extends EventEmitter<{ change: [DenylistEntries] }> {
  readonly #reports: Reports;
  readonly #events: Events;
  /** In the order of their last deaths. */
  readonly #entries = new Map<Fingerprint, Entry>();
  #searchesUntil = Number.NEGATIVE_INFINITY;
  #isChangePending = false;
  #aging: NodeJS.Timeout | undefined;
  /** A reload may change them. */
  limits: QuarantineLimits;

  constructor(limits: QuarantineLimits, reports: Reports, events: Events) {
    super();
    this.setMaxListeners(0); // each worker is one
    this.limits = limits;
    this.#reports = reports;
    this.#events = events;
    reports.subscribe({
      'request-ended': (request) => {
        if (!request.isWanted && !request.answered?.isOver && this.limits.quarantineAfter > 0) this.#died(request);
      },
      'suspect-cleared': ({ fingerprint }) => this.#clearSuspect(fingerprint),
    });
  }

  get denylist(): DenylistEntries {
    this.#age();
    const all = [...this.#entries.values()];
    const of = (isRefused: boolean) => all.filter((one) => one.isRefused === isRefused).map((one) => one.fingerprint);
    return { suspects: of(false), refused: of(true), isSearching: now() < this.#searchesUntil };
  }

  /** By their deaths, the most first: refused requests, then suspects. */
  list(): readonly Suspect[] {
    this.#age();
    const all = [...this.#entries.values()].map(({ countedAt: _, weight: __, route: ___, ...suspect }) => suspect);
    return all.sort((a, b) => Number(b.isRefused) - Number(a.isRefused) || b.deaths - a.deaths);
  }

  /** Removes all suspects and refused requests. @returns how many were refused */
  clear(): number {
    const { refused, suspects, isSearching } = this.denylist;
    this.#entries.clear();
    this.#searchesUntil = Number.NEGATIVE_INFINITY;
    if (refused.length + suspects.length > 0 || isSearching) this.#emitChange();
    return refused.length;
  }

  /** The request was in flight at a death. */
  #died(request: LostRequest): void {
    const time = now();
    if (request.evidence && request.ageMs < longRequestMs + 2 * this.limits.hangTimeout) this.#count(request, time);
    this.#searchesUntil = time + searchMs;
    this.#emitChange();
  }

  #count({ fingerprint, method, url }: LostRequest, time: number): void {
    const known = this.#entries.get(fingerprint);
    if (known && time - known.countedAt < deathSpacingMs) return;
    const deaths = (known?.deaths ?? 0) + 1;
    const weight = (known ? weightAt(known, time) : 0) + 1;
    const isRefused = known?.isRefused || Math.round(weight) >= this.limits.quarantineAfter;
    const at = new Date().toISOString();
    this.#entries.delete(fingerprint);
    const route = `${method} ${url.split('?', 1)[0]}`;
    const entry = { fingerprint, method, url, deaths, at, isRefused, route, weight, countedAt: time };
    this.#entries.set(fingerprint, entry);
    if (isRefused && !known?.isRefused)
      this.#reports.publish({ kind: 'quarantined', method, url, fingerprint, deaths });
    this.#drop(route);
  }

  /** Drops the oldest entries of a route, and the oldest ones of all, beyond their limits. */
  #drop(route: string): void {
    const ofRoute = [...this.#entries.values()].filter((one) => one.route === route);
    const surplus = ofRoute.slice(0, Math.max(0, ofRoute.length - maxEntriesPerRoute));
    for (const { fingerprint } of surplus) this.#entries.delete(fingerprint);
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined && this.#entries.size > maxEntries) this.#entries.delete(oldest);
  }

  /** Accepts refused requests that weigh half as much as when they were refused, and forgets suspects. */
  #age(): void {
    const time = now();
    for (const entry of this.#entries.values()) {
      const weight = weightAt(entry, time);
      if (entry.isRefused && weight <= entry.weight / 2) {
        entry.isRefused = false;
        const reason = `${entry.method} ${entry.url}: an hour has passed`;
        this.#events.tell({ event: 'quarantine-cleared', count: 1, reason });
      }
      if (!entry.isRefused && weight < minWeight) this.#entries.delete(entry.fingerprint);
    }
  }

  /** One event for all requests of a death, and one when the denylist changes by itself. */
  #emitChange(): void {
    if (this.#isChangePending) return;
    this.#isChangePending = true;
    setImmediate(() => {
      this.#isChangePending = false;
      this.emit('change', this.denylist);
      this.#expectAging();
    });
  }

  #expectAging(): void {
    clearTimeout(this.#aging);
    const time = now();
    const releases = [...this.#entries.values()].filter(({ isRefused }) => isRefused);
    const ends = [this.#searchesUntil, ...releases.map(({ countedAt }) => countedAt + halfLifeMs)];
    const next = Math.min(...ends.filter((end) => end > time));
    if (next < Number.POSITIVE_INFINITY) {
      this.#aging = setTimeout(() => this.#emitChange(), msUntil(next) + 1).unref();
    }
  }

  /** A worker has answered the request, and lives. */
  #clearSuspect(fingerprint: Fingerprint): void {
    // No change event: other workers that answer it report it once more, which is cheaper.
    if (this.#entries.get(fingerprint)?.isRefused === false) this.#entries.delete(fingerprint);
  }
}

function weightAt({ weight, countedAt }: Entry, time: number): number {
  return weight * 2 ** ((countedAt - time) / halfLifeMs);
}
