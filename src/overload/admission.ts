// Decides for each request of an event loop: to the app at once, wait, or refuse. While requests wait, it looks every few
// milliseconds whether another event loop has freed a place, as that cannot wake this one.
import type { Refusal } from './layout.js';
import type { Places } from './places.js';
import type { Shedder } from './shedder.js';
import type { Now } from './slots.js';
import { type Waiter, WaitingQueue } from './waiting-queue.js';

export interface AdmissionOptions {
  readonly places: Places;
  /** Milliseconds. */
  readonly queueTimeout: number;
  /** undefined without --shed. */
  readonly shedder: Shedder | undefined;
  readonly now: Now;
}

/** How often the event loop whose request is next looks for a free place, and one far behind (milliseconds). */
const minLookMs = 2;
const maxLookMs = 25;
/** As many event loops look at the shortest interval. */
const firstOnes = 4;

export class Admission {
  readonly #places: Places;
  readonly #queueTimeout: number;
  readonly #shedder: Shedder | undefined;
  readonly #now: Now;
  readonly #queue = new WaitingQueue();
  /** Until the next look; undefined while no request waits. */
  #timer: NodeJS.Timeout | undefined;
  #nextTurn: NodeJS.Immediate | undefined;
  #lookAt = 0;
  #isLooking = false;
  #isClosed = false;

  constructor({ places, queueTimeout, shedder, now }: AdmissionOptions) {
    this.#now = now;
    this.#places = places;
    this.#queueTimeout = queueTimeout;
    this.#shedder = shedder;
  }

  /** @returns whether the request may go to the app at once; then call `end` later */
  enter(isPriority: boolean): boolean {
    const isBehind = isPriority ? this.#queue.firstPriority : this.#queue.first;
    return !isBehind && this.#places.take({ since: this.#now(), isPriority });
  }

  /** Has the request wait, or refuses it. A request with priority takes the place of the last one without. */
  wait(waiter: Waiter): void {
    const refusal = this.#isClosed ? 'draining' : this.#join(waiter);
    if (refusal) {
      waiter.refuse(refusal);
      return;
    }
    this.#queue.add(waiter);
    if (this.#timer || this.#nextTurn) this.#announce();
    else this.#planLook();
  }

  /** The client of a request has gone. */
  leave(waiter: Waiter): void {
    if (this.#remove(waiter)) this.#announce();
  }

  /** A request has left the app. @param serviceMs for how long it was there; undefined if that says nothing about others */
  end(serviceMs: number | undefined): void {
    if (serviceMs !== undefined) this.#shedder?.served(serviceMs);
    this.#places.free();
    this.lookSoon();
  }

  /** There may be a place for a request that waits. */
  lookSoon(): void {
    if (this.#queue.size > 0 && !this.#nextTurn && !this.#isLooking) this.#planLook(true);
  }

  /** Refuses those that wait, and from now on all that would have to wait. */
  close(): void {
    this.#isClosed = true;
    for (let waiter = this.#queue.first; waiter; waiter = this.#queue.first) {
      this.#remove(waiter);
      waiter.refuse('draining');
    }
    this.#announce();
  }

  /** @returns why the request may not wait */
  #join({ isPriority }: Waiter): Refusal | undefined {
    if (this.#places.join()) return undefined;
    const { lastOrdinary } = this.#queue;
    if (!isPriority || !lastOrdinary) return 'queue-full';
    this.#queue.remove(lastOrdinary);
    lastOrdinary.refuse('queue-full');
    return undefined;
  }

  /**
   * Starts one request if there is a place, and the next one in the next turn of the event loop. With an app that computes
   * here, further requests, and health checks, would otherwise not be read before all of them.
   */
  #look(): void {
    this.#isLooking = true;
    this.#refuseOverdue();
    let isUsed = false;
    for (let { first } = this.#queue; first && this.#places.take(first); first = this.#queue.first) {
      this.#useFor(first);
      isUsed = !this.#places.areElsewhere;
      if (isUsed) break;
    }
    this.#isLooking = false;
    this.#planLook(isUsed);
  }

  /** Uses a place for the waiter, or for the next one that is not shed. */
  #useFor(first: Waiter): void {
    for (let waiter: Waiter | undefined = first; waiter; waiter = this.#queue.first) {
      this.#remove(waiter);
      if (!this.#sheds(waiter)) {
        waiter.start();
        return;
      }
      waiter.refuse('shed');
    }
    this.#places.free();
  }

  #sheds({ since, isPriority }: Waiter): boolean {
    if (!this.#shedder || isPriority) return false;
    const time = this.#now();
    return this.#shedder.sheds(time - since, time, !this.#places.areWanted);
  }

  #refuseOverdue(): void {
    const time = this.#now();
    for (const next of [() => this.#queue.firstPriority, () => this.#queue.firstOrdinary]) {
      for (let waiter = next(); waiter && waiter.since + this.#queueTimeout <= time; waiter = next()) {
        this.#remove(waiter);
        waiter.refuse('queue-timeout');
      }
    }
  }

  #remove(waiter: Waiter): boolean {
    if (!this.#queue.remove(waiter)) return false;
    this.#places.leave();
    return true;
  }

  /**
   * A request that comes later does not postpone the look.
   * @param isSoon in the next turn: never at once, as an app that answers in timers could keep the event loop there
   */
  #planLook(isSoon = false): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#nextTurn);
    this.#timer = undefined;
    this.#nextTurn = undefined;
    const { first, firstOrdinary, firstPriority } = this.#queue;
    if (first && isSoon) {
      this.#lookAt = this.#now();
      this.#nextTurn = setImmediate(() => this.#look());
    } else if (first) {
      const time = this.#now();
      const lookMs = Math.min(maxLookMs, minLookMs * (1 + Math.floor(this.#places.ahead(first) / firstOnes)));
      const oldest = Math.min(firstOrdinary?.since ?? time, firstPriority?.since ?? time);
      this.#lookAt = time + Math.max(0, Math.min(lookMs, oldest + this.#queueTimeout - time));
      this.#timer = setTimeout(() => this.#look(), this.#lookAt - time);
    }
    this.#announce();
  }

  #announce(): void {
    this.#places.announce(this.#queue.firstOrdinary, this.#queue.firstPriority, this.#lookAt);
  }
}
