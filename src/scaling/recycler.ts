// Recycles members of a pool (processes or threads) that have reached a limit of requests, memory or age. The replacement
// is ready before the old member drains, so no client notices.
import { now } from '../clock.js';
import type { Config } from '../config/config.js';

/** 0 disables a limit. */
export type RecycleLimits = Config['recycle'];

export interface RecyclablePool<M> {
  /** Members that can serve. */
  readonly ready: readonly M[];
  /** The pool is draining, and replaces no member. */
  readonly ending: boolean;
  /** @returns false if the member is gone or being replaced already. @throws Error if the replacement does not get ready */
  recycle(member: M): Promise<boolean>;
}

export interface Usage {
  /** Requests that it has answered. */
  readonly answered: number;
  /** Milliseconds since it was ready; undefined if it never was. */
  readonly readyMs: number | undefined;
  /** Bytes; 0 if unknown. */
  readonly memory: number;
}

export interface RecyclerListener<M> {
  recycled(member: M, reason: string): void;
  recycleFailed(member: M, reason: string): void;
}

/** Memory can grow fast, and a check costs a few microseconds per member. */
const checkIntervalMs = 250;
/** A member that reaches a limit before this age does so right after its start. */
const minAgeMs = 300;
/** The wait after a replacement has failed, or was recycled before `minAgeMs`. */
export const retryMs = 10_000;

export class Recycler<M extends Usage> {
  readonly #pool: RecyclablePool<M>;
  readonly #listener: RecyclerListener<M>;
  readonly #limits: RecycleLimits;
  /** `maxRequests` with its jitter. */
  readonly #maxRequests = new WeakMap<M, number>();
  #timer: NodeJS.Timeout | undefined;
  #pausedUntil = 0;
  #isRecycling = false;

  constructor(pool: RecyclablePool<M>, limits: RecycleLimits, listener: RecyclerListener<M>) {
    this.#pool = pool;
    this.#limits = limits;
    this.#listener = listener;
  }

  start(): void {
    const { maxRequests, maxMemory, maxAge } = this.#limits;
    if (maxRequests + maxMemory + maxAge > 0) this.#timer = setInterval(() => void this.#check(), checkIntervalMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Recycles one member at a time: the replacement needs memory and CPU, too. */
  async #check(): Promise<void> {
    if (this.#isRecycling || now() < this.#pausedUntil) return;
    for (const member of this.#pool.ready) {
      const reason = this.#reasonToRecycle(member);
      if (reason === undefined) continue;
      this.#isRecycling = true;
      try {
        // The replacement will probably reach the limit as soon.
        if ((member.readyMs ?? 0) < minAgeMs) this.#pausedUntil = now() + retryMs;
        if (await this.#pool.recycle(member)) this.#listener.recycled(member, reason);
      } catch (error) {
        if (this.#pool.ending) return;
        this.#pausedUntil = now() + retryMs;
        this.#listener.recycleFailed(member, (error as Error).message);
      } finally {
        this.#isRecycling = false;
      }
      return;
    }
  }

  #reasonToRecycle(member: M): string | undefined {
    const { maxRequests, maxMemory, maxAge } = this.#limits;
    const { answered, readyMs = 0 } = member;
    if (maxRequests > 0 && answered >= this.#maxRequestsOf(member)) return `it has answered ${answered} requests`;
    if (maxAge > 0 && readyMs >= maxAge) return `it is ${Math.round(readyMs / 1000)} s old`;
    const memory = maxMemory > 0 ? member.memory : 0;
    if (memory > maxMemory) return `it has ${Math.round(memory / 1024 ** 2)} MiB of memory`;
    return undefined;
  }

  #maxRequestsOf(member: M): number {
    const { maxRequests, maxRequestsJitter } = this.#limits;
    let max = this.#maxRequests.get(member);
    if (max === undefined) {
      max = maxRequests + Math.round(Math.random() * maxRequestsJitter);
      this.#maxRequests.set(member, max);
    }
    return max;
  }
}
