// The strategy of a server with routes: the workers that have the connections, and those of each route, to which they forward
// requests. To everything else they are one.
import { msUntil, now } from '../clock.js';
import type { IncomingConnection } from '../connection/incoming.js';
import type { MigrationPolicy } from '../migration/policy.js';
import type { Group } from '../worker/settings.js';
import { ModelSwitch } from './model-switch.js';
import type { Replacement, ServerParts, ServerStrategy } from './server-strategy.js';
import type { Health, Hosting, OnProgress, RouteSnapshot, StrategySnapshot } from './strategy.js';
import { notRolledBack, type Trial } from './trial.js';

/** Workers of routes get no request any more, and have at least so long to close the app (milliseconds). */
const closeMs = 1000;

export class Routed implements ServerStrategy {
  readonly #front: ModelSwitch;
  readonly #routes: readonly { readonly match: string; readonly strategy: ModelSwitch }[];
  #parts: ServerParts;
  #drainBy = Number.POSITIVE_INFINITY;
  #drained: Promise<void> | undefined;
  #areRoutesDraining = false;

  /** @param generation of the first workers */
  constructor(parts: ServerParts, generation: number) {
    this.#parts = parts;
    this.#front = new ModelSwitch(parts.group, parts.hosting, generation);
    this.#routes = parts.routes.map(({ match, group, hosting }) => {
      return { match, strategy: new ModelSwitch(group, hosting, generation) };
    });
  }

  async start(isHeld = false): Promise<void> {
    const outcomes = await Promise.allSettled(this.#routes.map(({ strategy }) => strategy.start()));
    try {
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
      await this.#front.start(isHeld);
    } catch (error) {
      this.kill();
      await this.drain(0);
      throw error;
    }
  }

  open(): void {
    this.#front.open();
  }

  give(connection: IncomingConnection): Promise<void> {
    return this.#front.give(connection);
  }

  /** All at the same time. If one fails, the others go back to what they were before. */
  async replaceParts(next: ServerParts, onProgress: OnProgress, trial?: Trial): Promise<void> {
    const before = this.#parts;
    const changes = [
      { strategy: this.#front, old: before.hosting, hosting: next.hosting, tried: trial },
      ...this.#routes.map(({ strategy }, i) => {
        const [old, fresh] = [before.routes[i], next.routes[i]];
        if (!old || !fresh) throw new Error('the routes of a server do not change');
        return { strategy, old: old.hosting, hosting: fresh.hosting, tried: trial && ofRoute(trial) };
      }),
    ];
    const done = changes.map(({ strategy }) => ({ done: 0, all: strategy.snapshot().workers.length }));
    const outcomes = await Promise.allSettled(
      changes.map(({ strategy, hosting, tried }, i) => {
        const progress: OnProgress = (some, all) => {
          done[i] = { done: some, all };
          onProgress(sumOf(done, 'done'), sumOf(done, 'all'));
        };
        return strategy.replaceAll(hosting, progress, tried);
      }),
    );
    const failed = outcomes.find((one) => one.status === 'rejected');
    if (!failed) {
      this.#parts = next;
      return;
    }
    const replaced = changes.filter((_, i) => outcomes[i]?.status === 'fulfilled');
    const back = await Promise.allSettled(replaced.map(({ strategy, old }) => strategy.replaceAll(old, () => {})));
    const notBack = back.find((one) => one.status === 'rejected');
    throw notBack && !this.#drained ? notRolledBack(failed.reason, notBack.reason) : failed.reason;
  }

  replace(group: Group, hosting: Hosting, ms: number, trial?: Trial): Promise<Replacement> {
    return this.#front.replace(group, hosting, ms, trial);
  }

  resize(workers: number, trial?: Trial): Promise<void> {
    return this.#front.resize(workers, trial);
  }

  /** The workers of routes serve until those that have the connections have no request any more. */
  drain(ms: number, othersServe = false): Promise<void> {
    this.#drainBy = Math.min(this.#drainBy, now() + ms);
    const front = this.#front.drain(ms, othersServe);
    if (this.#areRoutesDraining) void this.#drainRoutes();
    this.#drained ??= front.then(() => this.#drainRoutes());
    return this.#drained;
  }

  async #drainRoutes(): Promise<void> {
    this.#areRoutesDraining = true;
    const ms = Math.max(msUntil(this.#drainBy), closeMs);
    await Promise.all(this.#routes.map(({ strategy }) => strategy.drain(ms)));
  }

  use(hosting: Hosting): void {
    this.#front.use(hosting);
  }

  shed(): void {
    this.#front.shed();
  }

  acceptNoMore(): Promise<void> {
    return this.#front.acceptNoMore();
  }

  /** Connections of other servers are for those that have connections. */
  setMigration(change: Partial<MigrationPolicy>): void {
    this.#front.setMigration(change);
    const { send } = change;
    if (send === undefined) return;
    for (const { strategy } of this.#routes) strategy.setMigration({ send });
  }

  kill(): void {
    for (const strategy of this.#all) strategy.kill();
  }

  get health(): Health {
    const { health } = this.#front;
    if (health !== 'serving') return health;
    return this.#routes.some(({ strategy }) => strategy.health !== 'serving') ? 'degraded' : 'serving';
  }

  snapshot(): StrategySnapshot {
    const front = this.#front.snapshot();
    const routes = this.#routes.map(({ match, strategy }): RouteSnapshot => {
      const { answered, generation, size, workers } = strategy.snapshot();
      return { match, answered, generation, size, workers, health: strategy.health };
    });
    return { ...front, workers: [...front.workers, ...routes.flatMap(({ workers }) => workers)], routes };
  }

  get #all(): readonly ModelSwitch[] {
    return [this.#front, ...this.#routes.map(({ strategy }) => strategy)];
  }
}

/** Only the workers that have the connections are compared with those before them: they have all responses. */
function ofRoute(trial: Trial): Trial {
  return { before: () => trial.before(), after: () => trial.after(), failed: trial.failed };
}

function sumOf<K extends string>(all: readonly Readonly<Record<K, number>>[], key: K): number {
  return all.reduce((sum, one) => sum + one[key], 0);
}
