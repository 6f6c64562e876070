// Loads the app and serves connections with it on this event loop: what a worker does that hosts no threads.
import type { IncomingConnection } from '../connection/incoming.js';
import { type DenylistEntries, emptyDenylist } from '../inflight/denylist.js';
import type { MigrationPolicy } from '../migration/policy.js';
import { libc } from '../os/libc.js';
import { BusyClock } from '../pipeline/busy.js';
import { createPipeline, type Pipeline, type PipelineOptions } from '../pipeline/pipeline.js';
import { warmUp } from '../pipeline/warm-up.js';
import type { RequestInFlight } from '../reports/report.js';
import { type LoadMeter, loadMeter } from '../scaling/load-meter.js';
import type { Look, LoopView } from '../scoreboard/loop-view.js';
import { HostedApp, type HostedAppOptions } from './hosted-app.js';
import type { DrainOrder, Service } from './service.js';
import type { ThreadSettings } from './settings.js';

/**
 * A connection that lasts this long is kept by its client, and may have to migrate (milliseconds): what that needs is
 * loaded now, not when all connections have to migrate at once.
 */
const prepareAfterMs = 1000;

export type RunnerOptions = ThreadSettings &
  HostedAppOptions &
  Pick<PipelineOptions, 'identity' | 'tell' | 'journal' | 'memory' | 'cacheMemory' | 'slot' | 'activity' | 'onSession'>;

export class AppRunner implements Service {
  readonly #options: RunnerOptions;
  readonly #clock = new BusyClock();
  readonly #meter: LoadMeter | undefined;
  readonly #app: HostedApp;
  #denylist = emptyDenylist;
  #isMigrationOff = false;
  #pipeline: Pipeline | undefined;
  #preparing: NodeJS.Timeout | undefined;

  constructor(options: RunnerOptions) {
    this.#options = options;
    const { measure } = options;
    this.#app = new HostedApp(options);
    this.#meter = measure && loadMeter(measure, this.#clock);
  }

  async start(): Promise<void> {
    const { measure, warmsUp } = this.#options;
    const options = { ...this.#options, busy: measure === 'busy' ? this.#clock : undefined };
    if (warmsUp) await warmUp(options);
    const app = await this.#app.load();
    const pipeline = await createPipeline({ ...options, app });
    await this.#app.untilReady(async () => pipeline);
    this.#pipeline = pipeline;
    if (this.#isMigrationOff) pipeline.stopMigration();
    this.setDenylist(this.#denylist);
  }

  check(): Promise<string | undefined> {
    return this.#app.check(async () => this.#pipeline);
  }

  async serve(connection: IncomingConnection): Promise<void> {
    this.#preparing ??= this.#options.migrationChannel && setTimeout(libc, prepareAfterMs).unref();
    await this.#pipeline?.adopt(connection);
  }

  drain(order: DrainOrder): Promise<void> {
    const { ms, othersServe, onMigrating } = order;
    // A credit may have to wait until a worker has started, within --boot-timeout.
    const stallMs = this.#options.loading.bootTimeout;
    const migration = othersServe ? { stallMs, onMigrating } : undefined;
    return this.#app.drain(order, async () => this.#pipeline?.drain(ms, migration));
  }

  drainSooner(ms: number, othersServe: boolean): void {
    if (!othersServe) this.#pipeline?.serverStops();
    if (this.#app.drainSooner(ms)) this.#pipeline?.drainSooner(ms);
  }

  setMigration({ send }: MigrationPolicy): void {
    this.#isMigrationOff = send === 'off';
    if (this.#isMigrationOff) this.#pipeline?.stopMigration();
    else if (typeof send === 'object') this.#pipeline?.rebalance(send.rebalance);
  }

  get answered(): number {
    return this.#pipeline?.answered ?? 0;
  }

  load(): number | undefined {
    return this.#meter?.();
  }

  inFlight(): readonly RequestInFlight[] {
    return this.#pipeline?.inFlight() ?? [];
  }

  async look(how: Look): Promise<readonly LoopView[]> {
    const view = await this.#pipeline?.look(how);
    return view ? [{ ...view, tid: this.#options.identity.tid }] : [];
  }

  setDenylist(denylist: DenylistEntries): void {
    this.#denylist = denylist;
    // No request is refused before the worker is ready: the app itself is asked whether it is.
    if (this.#pipeline) this.#options.journal?.denylist.set(denylist);
  }

  shed(): void {
    this.#pipeline?.shed();
  }

  idleFor(): number {
    return this.#pipeline?.idleFor() ?? -1;
  }
}
