// Replaces members of a pool, processes or threads, that have had enough: of requests, of memory, of time. A replacement
// is ready before the old one drains, so nobody notices.
import { now } from '../clock.js';

/** When a member has had enough; 0 is never. */
export interface RecycleLimits {
  readonly maxRequests: number;
  /** Up to so many more requests, by chance, so that members which began together do not end together. */
  readonly maxRequestsJitter: number;
  /** Resident memory in bytes. */
  readonly maxMemory: number;
  /** Milliseconds since it was ready. */
  readonly maxAge: number;
}

export interface Recyclable<M> {
  /** Those that can serve. */
  readonly ready: readonly M[];
  /** Nothing is replaced any more. */
  readonly ending: boolean;
  /** Replaces it. @returns false when somebody else has, or it has gone. @throws Error when a new one cannot be ready */
  renew(member: M): Promise<boolean>;
}

export interface Usage {
  /** Requests. */
  readonly answered: number;
  /** Milliseconds since it was ready; undefined if it never was. */
  readonly readyMs: number | undefined;
  /** Bytes; 0 where that is not known. */
  readonly memory: number;
}

export interface Report<M> {
  recycled(member: M, reason: string): void;
  failed(member: M, reason: string): void;
}

/** Memory can grow fast, and a look costs a few microseconds a member (milliseconds). */
const lookEvery = 250;
/** A life so short is none (milliseconds). */
const young = 300;
/** After a replacement could not be started, or had to be replaced at once (milliseconds). */
export const retryMs = 10_000;

export class Recycler<M extends Usage> {
  readonly #pool: Recyclable<M>;
  readonly #report: Report<M>;
  readonly #limits: RecycleLimits;
  /** Requests that each may serve. */
  readonly #allowed = new WeakMap<M, number>();
  #timer: NodeJS.Timeout | undefined;
  #notBefore = 0;
  #isBusy = false;

  constructor(pool: Recyclable<M>, limits: RecycleLimits, report: Report<M>) {
    this.#pool = pool;
    this.#limits = limits;
    this.#report = report;
  }

  start(): void {
    const { maxRequests, maxMemory, maxAge } = this.#limits;
    if (maxRequests + maxMemory + maxAge > 0) this.#timer = setInterval(() => void this.#look(), lookEvery);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** One at a time: a replacement needs memory and processor time, too. */
  async #look(): Promise<void> {
    if (this.#isBusy || now() < this.#notBefore) return;
    for (const member of this.#pool.ready) {
      const reason = this.#reason(member);
      if (reason === undefined) continue;
      this.#isBusy = true;
      try {
        // One that has had enough as soon as it is there has more than it should, and the next will, too.
        if ((member.readyMs ?? 0) < young) this.#notBefore = now() + retryMs;
        if (await this.#pool.renew(member)) this.#report.recycled(member, reason);
      } catch (error) {
        if (this.#pool.ending) return;
        this.#notBefore = now() + retryMs;
        this.#report.failed(member, (error as Error).message);
      } finally {
        this.#isBusy = false;
      }
      return;
    }
  }

  #reason(member: M): string | undefined {
    const { maxRequests, maxMemory, maxAge } = this.#limits;
    const { answered, readyMs = 0 } = member;
    if (maxRequests > 0 && answered >= this.#allowance(member)) return `it has answered ${answered} requests`;
    if (maxAge > 0 && readyMs >= maxAge) return `it is ${Math.round(readyMs / 1000)} s old`;
    const memory = maxMemory > 0 ? member.memory : 0;
    if (memory > maxMemory) return `it has ${Math.round(memory / 1024 ** 2)} MiB of memory`;
    return undefined;
  }

  #allowance(member: M): number {
    const { maxRequests, maxRequestsJitter } = this.#limits;
    let allowed = this.#allowed.get(member);
    if (allowed === undefined) {
      allowed = maxRequests + Math.round(Math.random() * maxRequestsJitter);
      this.#allowed.set(member, allowed);
    }
    return allowed;
  }
}
