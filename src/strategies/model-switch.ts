// The strategy of a server whose model can be switched: the strategy that serves, and those that it has replaced, whose
// connections migrate or end. To everything else they are one. A reload of one that cannot replace its workers is a switch
// to another one of the same model.
import { within } from '../clock.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { defaultPolicy, type MigrationPolicy } from '../migration/policy.js';
import type { Group } from '../worker/settings.js';
import { createStrategy } from './create.js';
import {
  type Hosting,
  type OnProgress,
  type Strategy,
  type StrategySnapshot,
  settleMs,
  type Trial,
} from './strategy.js';

/** While a new strategy is on trial, about this many connections move to it, this often (milliseconds). */
const rebalanceCount = 4;
const rebalanceEveryMs = 500;

export interface Replacement {
  /** Settles when the strategy before has ended, or after some seconds. */
  readonly settled: Promise<void>;
}

export class ModelSwitch implements Strategy {
  #group: Group;
  #current: Strategy;
  /** The strategy that is to replace it, while that starts or is on trial. */
  #next: Strategy | undefined;
  readonly #replaced = new Set<Strategy>();
  #answeredByTheReplaced = 0;
  #policy = defaultPolicy;
  #isEnding = false;

  /** @param generation of the first workers */
  constructor(group: Group, hosting: Hosting, generation: number) {
    this.#group = group;
    this.#current = createStrategy(group, hosting, generation);
  }

  start(): Promise<void> {
    return this.#current.start();
  }

  give(connection: IncomingConnection): Promise<void> {
    return this.#current.give(connection);
  }

  /**
   * Has another strategy serve from now on: it starts beside the one that there is, and receives its connections.
   * @param ms that the strategy before has for connections that cannot migrate
   * @param trial of the new strategy, while both serve
   * @throws StartupError when it cannot start, or what the trial has thrown; nothing has changed then
   */
  async replace(group: Group, hosting: Hosting, ms: number, trial?: Trial): Promise<Replacement> {
    const old = this.#current;
    const next = createStrategy(group, hosting, old.snapshot().generation + 1);
    this.#next = next;
    next.setMigration({ receives: true });
    try {
      await next.start();
      if (trial && old.snapshot().size > 0) {
        await tryBeside(old, trial).catch((error) => {
          void this.#retire(next, ms);
          throw error;
        });
      }
    } finally {
      this.#next = undefined;
    }
    if (this.#isEnding) return { settled: Promise.resolve() };
    this.#group = group;
    this.#current = next;
    next.setMigration({ send: this.#policy.send });
    return { settled: within(settleMs, this.#retire(old, ms)) };
  }

  async replaceAll(next: Hosting, onProgress: OnProgress, trial?: Trial): Promise<void> {
    if (this.#current.replaceAll) return this.#current.replaceAll(next, onProgress, trial);
    const { workers } = this.#current.snapshot();
    const { settled } = await this.replace(this.#group, next, next.drainMs, trial);
    let gone = 0;
    for (const { exit } of workers) void exit.then(() => onProgress(++gone, workers.length));
    // Each connection has a worker that is started for it, so the next reload should leave them the time for that.
    await settled;
  }

  async drain(ms: number, migrates = false): Promise<void> {
    this.#isEnding = true;
    await Promise.all(this.#all.map((strategy) => strategy.drain(ms, migrates)));
  }

  shed(): void {
    this.#current.shed();
  }

  async acceptNoMore(): Promise<void> {
    await Promise.all(this.#all.map((strategy) => strategy.acceptNoMore()));
  }

  setMigration(change: Partial<MigrationPolicy>): void {
    this.#policy = { ...this.#policy, ...change };
    const { send } = this.#policy;
    for (const strategy of this.#all) strategy.setMigration({ send });
    this.#tellCurrent();
  }

  kill(): void {
    this.#isEnding = true;
    for (const strategy of this.#all) strategy.kill();
  }

  resize(workers: number): Promise<void> {
    return this.#current.resize(workers);
  }

  snapshot(): StrategySnapshot {
    const [current, ...others] = this.#all.map((strategy) => strategy.snapshot()) as [StrategySnapshot];
    const answered = others.reduce(
      (sum, { answered }) => sum + answered,
      current.answered + this.#answeredByTheReplaced,
    );
    const workers = [current, ...others].flatMap((one) => one.workers);
    return { ...current, answered, workers };
  }

  /** Its connections go to the strategy that serves. Settles when it has ended. */
  async #retire(strategy: Strategy, ms: number): Promise<void> {
    this.#replaced.add(strategy);
    this.#tellCurrent();
    await strategy.drain(ms, this.#policy.send !== 'off', (connection) => this.#current.give(connection));
    this.#replaced.delete(strategy);
    this.#answeredByTheReplaced += strategy.snapshot().answered;
    this.#tellCurrent();
  }

  #tellCurrent(): void {
    this.#current.setMigration({ receives: this.#policy.receives || this.#replaced.size > 0 });
  }

  /** The one that serves first. */
  get #all(): readonly Strategy[] {
    return [this.#current, ...(this.#next ? [this.#next] : []), ...this.#replaced];
  }
}

/** Some of the kept-alive connections of `old` go to the strategy on trial, which would have only new ones otherwise. */
async function tryBeside(old: Strategy, trial: Trial): Promise<void> {
  const rebalancing = setInterval(() => {
    const { workers } = old.snapshot();
    old.setMigration({ send: { rebalance: Math.min(1, rebalanceCount / workers.length) } });
  }, rebalanceEveryMs).unref();
  await trial().finally(() => clearInterval(rebalancing));
}
