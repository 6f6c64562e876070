// The strategy of a server whose model can be switched: the strategy that serves, and those that it has replaced, whose
// connections migrate or end. To everything else they are one.
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

export interface Replacement {
  /** Settles when the strategy before has ended, or after some seconds. */
  readonly settled: Promise<void>;
}

export class ModelSwitch implements Strategy {
  #current: Strategy;
  /** The strategy that is to replace it, while that starts. */
  #next: Strategy | undefined;
  readonly #replaced = new Set<Strategy>();
  #answeredByTheReplaced = 0;
  #policy = defaultPolicy;
  #isEnding = false;

  /** @param generation of the first workers */
  constructor(group: Group, hosting: Hosting, generation: number) {
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
   * @throws StartupError when it cannot start; nothing has changed then
   */
  async replace(group: Group, hosting: Hosting, ms: number): Promise<Replacement> {
    const old = this.#current;
    const next = createStrategy(group, hosting, old.snapshot().generation + 1);
    this.#next = next;
    next.setMigration({ receives: true });
    try {
      await next.start();
    } finally {
      this.#next = undefined;
    }
    if (this.#isEnding) return { settled: Promise.resolve() };
    this.#current = next;
    this.#replaced.add(old);
    const { send } = this.#policy;
    next.setMigration({ send });
    const gone = old.drain(ms, send !== 'off').then(() => {
      this.#replaced.delete(old);
      this.#answeredByTheReplaced += old.snapshot().answered;
      this.#tellCurrent();
    });
    return { settled: within(settleMs, gone) };
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

  replaceAll(next: Hosting, onProgress: OnProgress, trial?: Trial): Promise<void> {
    return this.#current.replaceAll(next, onProgress, trial);
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

  #tellCurrent(): void {
    this.#current.setMigration({ receives: this.#policy.receives || this.#replaced.size > 0 });
  }

  /** The one that serves first. */
  get #all(): readonly Strategy[] {
    return [this.#current, ...(this.#next ? [this.#next] : []), ...this.#replaced];
  }
}
