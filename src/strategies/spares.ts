// Spare workers: each has loaded the app, or is about to, and waits for the one connection that it will serve. Some are
// always kept (--spares). Others are for connections that are about to migrate here: the credits that are offered for them
// are the spares that are ready, so that their clients do not wait for a start.
import { availableParallelism } from 'node:os';
import { BackOff } from '../back-off.js';
import { now } from '../clock.js';

/** Migration is urgent after this part of the time that it has. */
export const urgentAfterShare = 0.25;

/** Workers that start at the same time, when a spare starts: half of the processors, so that the others go on serving. */
export const startsAtOnce = Math.max(1, Math.floor(availableParallelism() / 2));

/** Spares for migrated connections, and how many when migration is urgent. */
const migrationSpares = startsAtOnce;
const urgentSpares = 2 * startsAtOnce;

/** How long the first spare for a migrated connection waits at most until it starts (milliseconds). */
const firstWaitMs = 100;

export interface SpareOptions<S> {
  /** Starts a spare, which has time to warm up. @throws when the system refuses another one */
  readonly start: () => S;
  /** Ends a spare that has no connection and will have none. */
  readonly dismiss: (spare: S) => void;
  readonly isReady: (spare: S) => boolean;
  /** How many workers are starting, those for which a client waits included. */
  readonly starting: () => number;
  /** Called with the number of migrated connections that could be served at once. */
  readonly onCredits: (count: number) => void;
}

export class Spares<S> {
  readonly #options: SpareOptions<S>;
  readonly #spares = new Set<S>();
  readonly #backOff = new BackOff();
  /** The number of --spares; undefined while none are wanted at all. */
  #standing: number | undefined;
  /** Until then none is started: spares have died, or the system has refused one. */
  #retry: NodeJS.Timeout | undefined;
  /** Since when a spare waits until it may start. */
  #waitingSince: number | undefined;
  #waiting: NodeJS.Timeout | undefined;
  #maxWaitMs = firstWaitMs;
  /** When the migration that is expected is urgent; undefined while none is expected. */
  #urgentFrom: number | undefined;

  constructor(options: SpareOptions<S>) {
    this.#options = options;
  }

  /** From now on there are always `standing` spares, and those for the migration that is expected. */
  keep(standing: number): void {
    this.#standing = standing;
    this.refill();
  }

  /** From now on there are none. The caller ends those that there are. */
  close(): void {
    this.#standing = undefined;
    this.#spares.clear();
    this.#stopWaiting();
    clearTimeout(this.#retry);
    this.#retry = undefined;
  }

  /** @param urgentFrom when the migration that is expected is urgent, on the clock of `now`; undefined when none is */
  expect(urgentFrom: number | undefined): void {
    this.#urgentFrom = urgentFrom;
    this.refill();
  }

  /** Adds one that the caller has started. */
  add(spare: S): void {
    this.#spares.add(spare);
  }

  /**
   * Takes one that is ready, or else the one that has been starting for longest.
   * @param isMigrated the connection has migrated; another gets none of the spares that are kept for those
   */
  take(isMigrated: boolean): S | undefined {
    if (!isMigrated && this.#spares.size <= this.#forMigration) return undefined;
    const spare = [...this.#spares].find(this.#options.isReady) ?? [...this.#spares][0];
    if (spare === undefined) return undefined;
    this.#spares.delete(spare);
    setImmediate(() => this.refill()); // starting one delays everything, also the connection that is about to be handed over
    return spare;
  }

  /** A worker has started, spare or not, in this many milliseconds. */
  started(ms: number): void {
    this.#maxWaitMs = ms;
    this.#next();
  }

  /** A worker has ended that had been ready for this many milliseconds. A spare is replaced, each time later. */
  ended(worker: S, livedMs: number): void {
    if (this.#spares.delete(worker)) this.#refillLater(livedMs);
    this.#next();
  }

  /** Starts those that are missing, as far as they may start. */
  refill(): void {
    const standing = this.#standing;
    if (standing === undefined) return;
    const wanted = Math.max(standing, this.#forMigration);
    const isMissing = (): boolean => this.#spares.size < wanted && this.#retry === undefined;
    try {
      while (isMissing() && (this.#spares.size < standing || this.#mayStart)) this.#spares.add(this.#options.start());
      if (!isMissing()) this.#stopWaiting();
    } catch {
      this.#refillLater(0); // a connection that comes meanwhile has a worker started for it
    }
    for (const spare of [...this.#spares].slice(wanted)) {
      this.#spares.delete(spare);
      this.#options.dismiss(spare);
    }
    this.#tellCredits();
  }

  /** A spare for a migrated connection may be able to start now. */
  #next(): void {
    if (this.#urgentFrom === undefined) this.#tellCredits();
    else this.refill();
  }

  #refillLater(livedMs: number): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.refill();
    }, this.#backOff.died(livedMs)).unref();
  }

  #tellCredits(): void {
    if (this.#standing === undefined) return;
    const isExpecting = this.#urgentFrom !== undefined;
    this.#options.onCredits(isExpecting ? [...this.#spares].filter(this.#options.isReady).length : 0);
  }

  get #forMigration(): number {
    if (this.#urgentFrom === undefined) return 0;
    return this.#isUrgent ? urgentSpares : migrationSpares;
  }

  /**
   * Whether a spare for a migrated connection may start now. Each start takes a processor for a while, and clients that wait
   * for a worker of their own go first: a connection that is about to migrate is still served. Clients may never stop
   * coming, so it may also when it has waited for as long as the last start took.
   */
  get #mayStart(): boolean {
    const time = now();
    this.#waitingSince ??= time;
    const isNext = this.#options.starting() < startsAtOnce || time - this.#waitingSince >= this.#maxWaitMs;
    if (this.#isUrgent || isNext) {
      this.#stopWaiting();
      return true;
    }
    this.#waiting ??= setTimeout(() => {
      this.#waiting = undefined;
      this.refill();
    }, this.#maxWaitMs).unref();
    return false;
  }

  #stopWaiting(): void {
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
    this.#waitingSince = undefined;
  }

  get #isUrgent(): boolean {
    return this.#urgentFrom !== undefined && now() > this.#urgentFrom;
  }
}
