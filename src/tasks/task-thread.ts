// A thread as the process sees it that gives it requests: those that it has, and what comes back from it.
import { now } from '../clock.js';
import type { ExitCause } from '../reports/exit-cause.js';
import type { HandedRequest, Handling } from './handed-request.js';
import { Outbox } from './outbox.js';
import {
  type AppFacts,
  type Claims,
  forEachEntry,
  fromThread,
  type OnEntry,
  type ThreadPort,
  toThread,
} from './wire.js';

export interface TaskThreadListener {
  /** It has room for another request. @param isFree it would begin it at once, and had no room for that */
  freed(thread: TaskThread, isFree: boolean): void;
  /** It gets no request any more. @param requests that it has not begun */
  closed(thread: TaskThread, requests: readonly HandedRequest[]): void;
  /** @param ms for which the request has kept the thread */
  took(request: HandedRequest, ms: number): void;
  /** A request that has no place in the queue any more is still there, or is no longer. */
  lingering(change: 1 | -1): void;
  facts(facts: AppFacts): void;
}

export class TaskThread implements Handling {
  readonly tid: number;
  readonly outbox: Outbox;
  readonly #limit: number;
  readonly #maxAhead: number;
  readonly #claims: Claims;
  readonly #listener: TaskThreadListener;
  /** In the order in which they were sent, each with its number among all that were. */
  readonly #requests = new Map<number, HandedRequest>();
  readonly #indexes = new Map<HandedRequest, number>();
  #sent = 0;
  readonly #lingering = new Set<HandedRequest>();
  #isOpen = true;
  /** When it began its oldest request (`clock.ts`). */
  #busySince = 0;
  /** Its slow request. */
  #slow: HandedRequest | undefined;
  #hasEnded = false;

  /** @param limit requests at the same time. @param ahead requests that it may have besides */
  constructor(tid: number, port: ThreadPort, limit: number, ahead: number, listener: TaskThreadListener) {
    this.tid = tid;
    this.#limit = limit;
    this.#maxAhead = ahead;
    this.#claims = port.claims;
    this.#listener = listener;
    this.outbox = new Outbox(port);
    port.onMessage((entries) => forEachEntry(entries, this.#receive));
  }

  /** It would begin a request at once. */
  get isFree(): boolean {
    return this.#isOpen && this.#requests.size < this.#limit;
  }

  /** It can have a request, though it may have others to do before. */
  get hasRoom(): boolean {
    return this.#isOpen && this.#requests.size < this.#limit + this.#maxAhead;
  }

  /** It has a request that it may not have begun. */
  get hasAhead(): boolean {
    return this.#requests.size > this.#limit;
  }

  /** Requests that it has. */
  get size(): number {
    return this.#requests.size;
  }

  /** It has a slow request. */
  get isSlow(): boolean {
    return this.#slow !== undefined && this.#requests.has(this.#slow.id);
  }

  give(request: HandedRequest): void {
    if (this.#requests.size === 0) this.#busySince = now();
    if (request.isSlow) this.#slow = request;
    this.#requests.set(request.id, request);
    request.begin(this);
  }

  sent(request: HandedRequest): void {
    this.#indexes.set(request, this.#sent++);
  }

  over(request: HandedRequest): void {
    if (!this.#requests.delete(request.id)) return;
    this.#indexes.delete(request);
    if (this.#lingering.delete(request)) this.#listener.lingering(-1);
    const at = now();
    this.#listener.took(request, at - this.#busySince);
    this.#busySince = at;
    if (this.#isOpen) this.#listener.freed(this, this.#requests.size === this.#limit - 1);
  }

  /** Those that it may not have begun, the oldest first. */
  get ahead(): readonly HandedRequest[] {
    return [...this.#requests.values()].filter((request) => !this.hasBegun(request));
  }

  /** Whether it has begun the request. */
  hasBegun(request: HandedRequest): boolean {
    return (this.#indexes.get(request) ?? Number.POSITIVE_INFINITY) < this.#claims.taken;
  }

  /** @returns the requests that it has not begun, which are not its any more; none if the body of one is on its way */
  takeBack(): readonly HandedRequest[] {
    const isMoving = this.ahead.some((request) => request.hasBody);
    return isMoving && !this.#hasEnded ? [] : this.#takeBack();
  }

  #takeBack(): readonly HandedRequest[] {
    const { taken } = this.#claims;
    if (taken === this.#sent || !this.#claims.take(taken, this.#sent)) return [];
    const requests = [...this.#requests.values()].filter(
      (request) => !request.hasBody && (this.#indexes.get(request) ?? -1) >= taken,
    );
    for (const request of requests) this.#forget(request);
    return requests;
  }

  lingers(request: HandedRequest): void {
    if (!this.#requests.has(request.id) || this.#lingering.has(request)) return;
    this.#lingering.add(request);
    this.#listener.lingering(1);
  }

  /** It has ended, and all that it had sent has been received. @returns the requests that it had */
  ended(): readonly HandedRequest[] {
    this.#hasEnded = true;
    this.close();
    const requests = [...this.#requests.values()];
    this.#indexes.clear();
    this.#requests.clear();
    for (const _ of this.#lingering) this.#listener.lingering(-1);
    this.#lingering.clear();
    return requests;
  }

  /** Gives it no request any more. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#listener.closed(this, this.takeBack());
  }

  #forget(request: HandedRequest): void {
    this.#requests.delete(request.id);
    this.#indexes.delete(request);
    if (this.#lingering.delete(request)) this.#listener.lingering(-1);
  }

  readonly #receive: OnEntry = (kind, id, number, text, bytes) => {
    if (kind === fromThread.facts) this.#listener.facts(JSON.parse(text));
    else if (kind === fromThread.draining) {
      this.close();
      // After what is sent in the next tick.
      setImmediate(() => this.outbox.add(toThread.last, 0));
    } else this.#requests.get(id)?.receive(kind, number, text, bytes);
  };
}

/** Why a thread has ended. */
export interface ThreadEnd {
  readonly reason: string;
  readonly cause: ExitCause;
}
