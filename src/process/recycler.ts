// Replaces workers that have had enough: of requests, of memory, of time. A replacement is ready before the old one
// drains, so nobody notices.
import type { Events } from '../events.js';
import { residentMemory } from '../os/process-tree.js';
import type { WorkerHandle } from './handle.js';
import type { Pool } from './pool.js';

/** When a worker has had enough; 0 is never. */
export interface Wear {
  readonly maxRequests: number;
  /** Up to so many more requests, by chance, so that workers which began together do not end together. */
  readonly maxRequestsJitter: number;
  /** Resident memory in bytes. */
  readonly maxMemory: number;
  /** Milliseconds since it was ready. */
  readonly maxAge: number;
}

/** Memory can grow fast, and a look costs a few microseconds a worker (milliseconds). */
const lookEvery = 250;
/** After a replacement could not be started (milliseconds). */
const askAgain = 10_000;

export class Recycler {
  readonly #pool: Pool;
  readonly #events: Events;
  readonly #drainMs: number;
  readonly #wear: Wear;
  /** Requests that each may serve. */
  readonly #allowed = new WeakMap<WorkerHandle, number>();
  #timer: NodeJS.Timeout | undefined;
  #notBefore = 0;
  #isBusy = false;

  /** @param drainMs milliseconds that a worker which is replaced has for what is in flight */
  constructor(pool: Pool, wear: Wear, drainMs: number, events: Events) {
    this.#pool = pool;
    this.#wear = wear;
    this.#drainMs = drainMs;
    this.#events = events;
  }

  start(): void {
    const { maxRequests, maxMemory, maxAge } = this.#wear;
    if (maxRequests + maxMemory + maxAge > 0) this.#timer = setInterval(() => void this.#look(), lookEvery);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** One at a time: a replacement needs memory and processor time, too. */
  async #look(): Promise<void> {
    if (this.#isBusy || performance.now() < this.#notBefore) return;
    for (const worker of this.#pool.ready) {
      const reason = this.#reason(worker);
      if (reason === undefined) continue;
      this.#isBusy = true;
      try {
        if (await this.#pool.renew(worker, this.#drainMs)) {
          this.#events.tell({ event: 'worker-recycled', worker: worker.id, pid: worker.pid, reason });
        }
      } catch (error) {
        if (this.#pool.ending) return;
        this.#notBefore = performance.now() + askAgain;
        const { message } = error as Error;
        this.#events.tell({ event: 'worker-unfit', worker: worker.id, reason: message });
      } finally {
        this.#isBusy = false;
      }
      return;
    }
  }

  #reason(worker: WorkerHandle): string | undefined {
    const { maxRequests, maxMemory, maxAge } = this.#wear;
    if (maxRequests > 0 && worker.served >= this.#allowance(worker)) return `it has served ${worker.served} requests`;
    if (maxAge > 0 && (worker.readyMs ?? 0) >= maxAge) return `it is ${Math.round((worker.readyMs ?? 0) / 1000)} s old`;
    const memory = maxMemory > 0 ? residentMemory(worker.pid) : 0;
    if (memory > maxMemory) return `it has ${Math.round(memory / 1024 ** 2)} MiB of memory`;
    return undefined;
  }

  #allowance(worker: WorkerHandle): number {
    const { maxRequests, maxRequestsJitter } = this.#wear;
    let allowed = this.#allowed.get(worker);
    if (allowed === undefined) {
      allowed = maxRequests + Math.round(Math.random() * maxRequestsJitter);
      this.#allowed.set(worker, allowed);
    }
    return allowed;
  }
}
