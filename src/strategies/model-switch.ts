// One strategy after the other: the one that serves, and those that it has relieved, which give their connections away
// and finish what they cannot. To everybody else they are one.
import { within } from '../clock.js';
import { createStrategy } from './create.js';
import { settleMs } from './settle.js';
import type { OnProgress, Strategy, StrategyContext, StrategySnapshot, Trial, WorkerSnapshot } from './strategy.js';

export interface Relief {
  /** Settles when the one before has gone, or after some seconds. */
  readonly settled: Promise<void>;
}

export class Succession implements Strategy {
  #current: Strategy;
  /** The one that is to relieve it, while it starts. */
  #next: Strategy | undefined;
  readonly #relieved = new Set<Strategy>();
  #servedByTheRelieved = 0;
  /** Connections of a whole other server are about to come. */
  #isExpecting = false;
  #isEnding = false;
  #stays = false;

  constructor(context: StrategyContext) {
    this.#current = createStrategy(context);
  }

  start(): Promise<void> {
    return this.#current.start();
  }

  /**
   * Has another strategy serve from now on: it starts beside the one that there is, and takes over its connections.
   * @param ms that the one before has for what it cannot give away
   * @throws StartupError when it cannot start; nothing has changed then
   */
  async relieve(context: Omit<StrategyContext, 'generation'>, ms: number): Promise<Relief> {
    const old = this.#current;
    const next = createStrategy({ ...context, generation: old.snapshot().generation + 1 });
    this.#next = next;
    next.expect(true);
    try {
      await next.start();
    } finally {
      this.#next = undefined;
    }
    if (this.#isEnding) return { settled: Promise.resolve() };
    this.#current = next;
    this.#relieved.add(old);
    if (this.#stays) next.stay();
    const gone = old.drain(ms, !this.#stays).then(() => {
      this.#relieved.delete(old);
      this.#servedByTheRelieved += old.snapshot().served;
      if (this.#relieved.size === 0) this.#current.expect(this.#isExpecting);
    });
    return { settled: within(settleMs, gone) };
  }

  async drain(ms: number, carries = false): Promise<void> {
    this.#isEnding = true;
    await Promise.all(this.#all.map((strategy) => strategy.drain(ms, carries)));
  }

  stay(): void {
    this.#stays = true;
    for (const strategy of this.#all) strategy.stay();
  }

  expect(isExpecting: boolean): void {
    this.#isExpecting = isExpecting;
    this.#current.expect(isExpecting || this.#relieved.size > 0);
  }

  kill(): void {
    this.#isEnding = true;
    for (const strategy of this.#all) strategy.kill();
  }

  reload(context: StrategyContext, onProgress: OnProgress, trial?: Trial): Promise<void> {
    return this.#current.reload(context, onProgress, trial);
  }

  scale(workers: number): Promise<void> {
    return this.#current.scale(workers);
  }

  async reopen(path: string): Promise<void> {
    await Promise.all(this.#all.map((strategy) => strategy.reopen(path)));
  }

  snapshot(): StrategySnapshot {
    const [current, ...others] = this.#all.map((strategy) => strategy.snapshot()) as [StrategySnapshot];
    const served = others.reduce((sum, { served }) => sum + served, current.served + this.#servedByTheRelieved);
    const workers: readonly WorkerSnapshot[] = [current, ...others].flatMap((one) => one.workers);
    return { ...current, served, workers };
  }

  /** The one that serves first. */
  get #all(): readonly Strategy[] {
    return [this.#current, ...(this.#next ? [this.#next] : []), ...this.#relieved];
  }
}
