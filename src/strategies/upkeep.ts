// What a pool does by itself while it serves: it recycles workers, changes their number with the load, and takes
// connections back from workers that do not come to them.
import { now } from '../clock.js';
import { type RecyclablePool, Recycler } from '../scaling/recycler.js';
import { Scaler, sampleIntervalMs } from '../scaling/scaler.js';
import type { Worker } from '../worker/worker.js';
import type { Hosting } from './strategy.js';

/** After the pool could not grow (milliseconds). */
const growRetryMs = 10_000;
/** Between two looks for workers that do not come to their connections (milliseconds). */
const revokeEveryMs = 250;

export interface KeptPool extends RecyclablePool<Worker> {
  /** How many workers are wanted. */
  readonly size: number;
  /** An operation or a scaling is under way. */
  readonly isChanging: boolean;
  /** Changes the number of workers. @throws StartupError when an added worker cannot be ready */
  scale(workers: number): Promise<void>;
}

export class Upkeep {
  readonly #pool: KeptPool;
  readonly #timers: NodeJS.Timeout[] = [];
  #hosting: Hosting;
  #recycler: Recycler<Worker>;
  #scaler: Scaler | undefined;
  #isRunning = false;
  /** When the pool may grow again, after it could not. */
  #growFrom = 0;

  constructor(pool: KeptPool, hosting: Hosting) {
    this.#pool = pool;
    this.#hosting = hosting;
    this.#recycler = this.#createRecycler();
    this.#scaler = hosting.range && new Scaler(hosting.range);
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  start(): void {
    this.#isRunning = true;
    this.#recycler.start();
    if (this.#scaler) this.#timers.push(setInterval(() => this.#scale(), sampleIntervalMs));
    if (this.#hosting.revokes) this.#timers.push(setInterval(() => this.#revoke(), revokeEveryMs));
  }

  stop(): void {
    this.#isRunning = false;
    this.#recycler.stop();
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
  }

  /** From the next start on it follows this hosting. Call it while it is stopped. */
  use(hosting: Hosting): void {
    this.#hosting = hosting;
    this.#recycler = this.#createRecycler();
    this.#scaler = hosting.range && new Scaler(hosting.range);
  }

  #createRecycler(): Recycler<Worker> {
    const { listener, recycle } = this.#hosting;
    return new Recycler(this.#pool, recycle, listener);
  }

  /** Has the load decide how many workers there are. */
  #scale(): void {
    const pool = this.#pool;
    if (pool.isChanging || pool.ending || now() < this.#growFrom) return;
    const from = pool.size;
    const decision = this.#scaler?.decide(pool.ready, from, now());
    if (!decision) return;
    const { size, reason } = decision;
    const { listener } = this.#hosting;
    const scaled = pool.scale(size).catch(({ message }: Error) => {
      if (pool.ending) return;
      this.#growFrom = now() + growRetryMs;
      listener.scaleFailed?.(message);
    });
    void scaled.then(() => {
      if (pool.size !== from && !pool.ending) listener.scaled(from, pool.size, reason);
    });
  }

  /** Connections that a worker does not come to go to others, if there are any that do. */
  #revoke(): void {
    const { ready } = this.#pool;
    if (ready.every(({ isUnresponsive }) => isUnresponsive)) return;
    for (const worker of ready) if (worker.isUnresponsive) worker.revoke();
  }
}
