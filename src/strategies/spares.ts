// Spares: processes or threads of which each has loaded the app, or is about to, and waits for the one connection that it
// is for. Some are always kept (--spares). Others are for connections that are carried over: those have a seat only when a
// spare is ready, so that their clients do not wait for a start.
import { BackOff } from '../back-off.js';
import { now } from '../clock.js';
import { atOnce, Turn } from './start-turn.js';

/** It is urgent after this part of the time in which connections are to be carried over. */
export const unhurriedShare = 0.25;

/** So many are kept for those that are carried over, and so many when there is little time left. */
const kept = atOnce;
const keptInHaste = 2 * atOnce;

/** What they are made of. */
export interface SpareKind<S> {
  /** Has time to warm up. @throws when the system refuses another one */
  readonly start: () => S;
  /** Ends one that has no connection and will have none. */
  readonly dismiss: (spare: S) => void;
  readonly isReady: (spare: S) => boolean;
  /** How many are starting, those for which a client waits included. */
  readonly starting: () => number;
  /** Told how many connections that are carried over could be taken at once. */
  readonly onCredits: (count: number) => void;
}

export class Spares<S> {
  readonly #kind: SpareKind<S>;
  readonly #all = new Set<S>();
  readonly #backOff = new BackOff();
  readonly #turn = new Turn(() => this.refill());
  /** Those of --spares; undefined while none are wanted at all. */
  #standing: number | undefined;
  /** Until then none is started, for others have died or the system has refused one. */
  #waiting: NodeJS.Timeout | undefined;
  /** When it is urgent for connections that are about to be carried over; undefined while none are. */
  #urgentFrom: number | undefined;

  constructor(kind: SpareKind<S>) {
    this.#kind = kind;
  }

  /** From now on there are always so many, and those that are expected. */
  keep(standing: number): void {
    this.#standing = standing;
    this.refill();
  }

  /** None any more. Those that there are have been seen to by the caller. */
  close(): void {
    this.#standing = undefined;
    this.#all.clear();
    this.#turn.pass();
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
  }

  /** @param urgentFrom when it is urgent for the connections that are about to be carried over (of `now`); undefined: there are none */
  expect(urgentFrom: number | undefined): void {
    this.#urgentFrom = urgentFrom;
    this.refill();
  }

  /** One that the caller has started. */
  add(spare: S): void {
    this.#all.add(spare);
  }

  /**
   * One that is ready, or else the one that has been starting for longest.
   * @param isCarried otherwise it gets none of those that are kept for such connections
   */
  take(isCarried: boolean): S | undefined {
    if (!isCarried && this.#all.size <= this.#kept) return undefined;
    const spare = [...this.#all].find(this.#kind.isReady) ?? [...this.#all][0];
    if (spare === undefined) return undefined;
    this.#all.delete(spare);
    setImmediate(() => this.refill()); // to start one holds everything up, also the connection that is about to be given
    return spare;
  }

  /** Ends all that there are. */
  dismiss(): void {
    for (const spare of this.#all) this.#dismiss(spare);
  }

  /** One has started in so many milliseconds, spare or not. */
  started(ms: number): void {
    this.#turn.took(ms);
    this.#next();
  }

  /** One has ended, after so many milliseconds in which it was ready. A spare is replaced, later and later. */
  ended(one: S, livedMs: number): void {
    if (this.#all.delete(one)) this.#later(livedMs);
    this.#next();
  }

  /** Starts those that are missing, as far as it is their turn. */
  refill(): void {
    const standing = this.#standing;
    if (standing === undefined) return;
    const wanted = Math.max(standing, this.#kept);
    const isMissing = (): boolean => this.#all.size < wanted && this.#waiting === undefined;
    try {
      while (isMissing() && (this.#all.size < standing || this.#turn.has(this.#kind.starting(), this.#isUrgent)))
        this.#all.add(this.#kind.start());
      if (!isMissing()) this.#turn.pass();
    } catch {
      this.#later(0); // a connection can still have one of its own when it comes
    }
    for (const spare of [...this.#all].slice(wanted)) this.#dismiss(spare);
    this.#offer();
  }

  /** It may be the turn of one that is expected. */
  #next(): void {
    if (this.#urgentFrom === undefined) this.#offer();
    else this.refill();
  }

  #later(livedMs: number): void {
    clearTimeout(this.#waiting);
    this.#waiting = setTimeout(() => {
      this.#waiting = undefined;
      this.refill();
    }, this.#backOff.died(livedMs)).unref();
  }

  #dismiss(spare: S): void {
    this.#all.delete(spare);
    this.#kind.dismiss(spare);
  }

  #offer(): void {
    if (this.#standing === undefined) return;
    const isExpecting = this.#urgentFrom !== undefined;
    this.#kind.onCredits(isExpecting ? [...this.#all].filter(this.#kind.isReady).length : 0);
  }

  get #kept(): number {
    if (this.#urgentFrom === undefined) return 0;
    return this.#isUrgent ? keptInHaste : kept;
  }

  get #isUrgent(): boolean {
    return this.#urgentFrom !== undefined && now() > this.#urgentFrom;
  }
}
