// The strategy of a server whose model can be switched: the strategy that serves, and those that it has replaced, whose
// connections migrate or end. To everything else they are one. A reload of one that cannot replace its workers is a switch
// to another one of the same model.
import { within } from '../clock.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { defaultPolicy, type MigrationPolicy } from '../migration/policy.js';
import type { Group } from '../worker/settings.js';
import { createStrategy } from './create.js';
import type { Replacement, ServerParts, ServerStrategy } from './server-strategy.js';
import {
  type Health,
  type Hosting,
  type OnProgress,
  type Strategy,
  type StrategySnapshot,
  type Successor,
  settleMs,
} from './strategy.js';
import { notRolledBack, type Trial, tryBeside } from './trial.js';

/** While a new strategy is on trial, about this many connections move to it at a time. */
const rebalanceCount = 2;

/** What a strategy was made from. */
interface Serving {
  readonly group: Group;
  readonly hosting: Hosting;
  readonly generation: number;
}

export class ModelSwitch implements ServerStrategy {
  /** What the current strategy was made from, or has been reloaded with. */
  #serving: Serving;
  #current: Strategy;
  /** The strategy that is to replace it, while that starts or is on trial. */
  #next: Strategy | undefined;
  readonly #replaced = new Set<Strategy>();
  #answeredByTheReplaced = 0;
  #policy = defaultPolicy;
  #isEnding = false;

  /** @param generation of the first workers */
  constructor(group: Group, hosting: Hosting, generation: number) {
    this.#serving = { group, hosting, generation };
    this.#current = createStrategy(group, hosting, generation);
  }

  start(isHeld = false): Promise<void> {
    return this.#current.start(isHeld);
  }

  open(): void {
    this.#current.open();
  }

  give(connection: IncomingConnection): Promise<void> {
    return this.#current.give(connection);
  }

  /**
   * Has another strategy serve from now on: it starts beside the one that there is, and receives its connections.
   * @param ms that the strategy before has for connections that cannot migrate
   * @throws StartupError when it cannot start, or what the trial has thrown; the strategy before serves then, or another
   * one like it
   */
  async replace(group: Group, hosting: Hosting, ms: number, trial?: Trial): Promise<Replacement> {
    const old = this.#serving;
    const { size } = this.#current.snapshot();
    const replacement = await this.#change({ group, hosting, generation: old.generation + 1 }, ms, 'switch', trial);
    try {
      if (!this.#isEnding) await trial?.after();
    } catch (error) {
      if (this.#isEnding) throw error;
      try {
        await this.#change(old, ms, 'rollback');
        // An operator may have scaled or drained it.
        if (this.#current.snapshot().size !== size) await this.#current.resize(size);
      } catch (failure) {
        throw notRolledBack(error, failure);
      }
      throw error;
    }
    return replacement;
  }

  replaceParts({ hosting }: ServerParts, onProgress: OnProgress, trial?: Trial): Promise<void> {
    return this.replaceAll(hosting, onProgress, trial);
  }

  async replaceAll(next: Hosting, onProgress: OnProgress, trial?: Trial): Promise<void> {
    if (this.#current.replaceAll) {
      await this.#current.replaceAll(next, onProgress, trial);
      this.#serving = { ...this.#serving, hosting: next, generation: this.#current.snapshot().generation };
      return;
    }
    const { workers } = this.#current.snapshot();
    const { settled } = await this.replace(this.#serving.group, next, next.drainMs, trial);
    let gone = 0;
    for (const { exit } of workers) void exit.then(() => onProgress(++gone, workers.length));
    // Each connection has a worker that is started for it, so the next reload should leave them the time for that.
    await settled;
  }

  /** @param ms that the strategy before has for connections that cannot migrate */
  async #change(
    { group, hosting, generation }: Serving,
    ms: number,
    reason: Successor['reason'],
    trial?: Trial,
  ): Promise<Replacement> {
    if (this.#isEnding) throw new Error('the server is stopping'); // nothing would end another one
    const old = this.#current;
    const next = createStrategy(group, hosting, generation);
    this.#next = next;
    next.setMigration({ receives: true });
    try {
      await next.start(trial !== undefined);
      if (trial) await this.#try(next, trial);
    } catch (error) {
      void this.#retire(next, ms, 'rollback');
      throw error;
    } finally {
      this.#next = undefined;
    }
    if (this.#isEnding) return { settled: Promise.resolve() };
    this.#serving = { group, hosting, generation };
    this.#current = next;
    next.setMigration({ send: this.#policy.send });
    return { settled: within(settleMs, this.#retire(old, ms, reason)) };
  }

  /** @throws what the trial throws */
  async #try(next: Strategy, trial: Trial): Promise<void> {
    await trial.before();
    if (this.#isEnding) return;
    next.open();
    const old = this.#current;
    if (old.snapshot().size === 0) return;
    await tryBeside(trial, () => {
      const { workers } = old.snapshot();
      old.setMigration({ send: { rebalance: Math.min(1, rebalanceCount / workers.length) } });
    });
  }

  async drain(ms: number, othersServe = false): Promise<void> {
    this.#isEnding = true;
    await Promise.all(this.#all.map((strategy) => strategy.drain(ms, othersServe)));
  }

  use(hosting: Hosting): void {
    this.#serving = { ...this.#serving, hosting };
    this.#current.use?.(hosting);
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

  resize(workers: number, trial?: Trial): Promise<void> {
    return this.#current.resize(workers, trial);
  }

  get health(): Health {
    return this.#current.health;
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
  async #retire(strategy: Strategy, ms: number, reason: Successor['reason']): Promise<void> {
    this.#replaced.add(strategy);
    this.#tellCurrent();
    await strategy.drain(ms, true, { give: (connection) => this.#current.give(connection), reason });
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
