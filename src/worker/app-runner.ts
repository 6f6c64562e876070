// Loads the app and serves connections with it on this event loop: what a worker does that hosts no threads.
import type { App } from '../app/app.js';
import { closeApp } from '../app/close-app.js';
import { loadApp } from '../app/load.js';
import { untilSaidReady } from '../app/pm2.js';
import { SecondaryServers } from '../app/secondary-servers.js';
import { msUntil, now, within } from '../clock.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { deferred } from '../deferred.js';
import { ExitCode, StartupError } from '../errors.js';
import { type DenylistEntries, emptyDenylist } from '../inflight/denylist.js';
import type { MigrationPolicy } from '../migration/policy.js';
import { libc } from '../os/libc.js';
import { BusyClock } from '../pipeline/busy.js';
import { closingFraction, createPipeline, type Pipeline, type PipelineOptions } from '../pipeline/pipeline.js';
import { untilReady, whyNotReady } from '../pipeline/readiness.js';
import { warmUp } from '../pipeline/warm-up.js';
import type { RequestInFlight } from '../reports/report.js';
import { type LoadMeter, loadMeter } from '../scaling/load-meter.js';
import type { Look, LoopView } from '../scoreboard/loop-view.js';
import type { SocketRequests } from '../secondary/requests.js';
import type { DrainOrder, Service } from './service.js';
import type { ThreadSettings } from './settings.js';

/**
 * A connection that lasts this long is kept by its client, and may have to migrate (milliseconds): what that needs is
 * loaded now, not when all connections have to migrate at once.
 */
const prepareAfterMs = 1000;

export type RunnerOptions = ThreadSettings &
  Pick<PipelineOptions, 'identity' | 'tell' | 'journal' | 'memory' | 'slot' | 'activity' | 'onSession'> & {
    /** Asks for the sockets of the app's secondary servers. */
    readonly sockets: SocketRequests;
    /** Told when the app has closed its server. */
    readonly onClosed: () => void;
  };

export class AppRunner implements Service {
  readonly #options: RunnerOptions;
  readonly #clock = new BusyClock();
  readonly #meter: LoadMeter | undefined;
  readonly #secondary: SecondaryServers;
  #denylist = emptyDenylist;
  #isMigrationOff = false;
  #app: App | undefined;
  /** What was pending before the app was loaded. */
  #before: readonly string[] = [];
  #pipeline: Pipeline | undefined;
  #preparing: NodeJS.Timeout | undefined;
  /** Until when it may drain. */
  #drainBy = Number.POSITIVE_INFINITY;
  /** In a drain that has to be over sooner: its secondary servers get no more time. */
  readonly #secondaryOver = deferred<void>();

  constructor(options: RunnerOptions) {
    this.#options = options;
    const { measure } = options;
    this.#secondary = new SecondaryServers((address, told) => options.sockets.ask(address, told));
    this.#meter = measure && loadMeter(measure, this.#clock);
  }

  async start(): Promise<void> {
    const { loading, addresses, measure, warmsUp, isKnownReady, onClosed, tell } = this.#options;
    const { app: target, demoFaults, bootTimeout: timeout, readyPath, serve } = loading;
    const options = { ...this.#options, busy: measure === 'busy' ? this.#clock : undefined };
    if (warmsUp) await warmUp(options);
    this.#before = process.getActiveResourcesInfo();
    const saidReady = loading.waitReady ? untilSaidReady() : undefined;
    const secondary = this.#secondary;
    const app = await loadApp({ target, addresses, demoFaults, timeout, serve, secondary, tell, onClosed });
    this.#app = app;
    if (saidReady && !(await within(timeout, saidReady))) {
      const message = `the app has not called process.send('ready') (--wait-ready), ${timeout} ms after it had loaded`;
      throw new StartupError(ExitCode.app, message);
    }
    const pipeline = await createPipeline({ ...options, app });
    if (readyPath !== undefined && !isKnownReady) await untilReady(pipeline, readyPath, timeout);
    this.#pipeline = pipeline;
    if (this.#isMigrationOff) pipeline.stopMigration();
    this.setDenylist(this.#denylist);
  }

  async check(): Promise<string | undefined> {
    const { readyPath, bootTimeout } = this.#options.loading;
    if (readyPath === undefined || !this.#pipeline) return undefined;
    return whyNotReady(this.#pipeline, readyPath, bootTimeout);
  }

  async serve(connection: IncomingConnection): Promise<void> {
    this.#preparing ??= this.#options.migrationChannel && setTimeout(libc, prepareAfterMs).unref();
    await this.#pipeline?.adopt(connection);
  }

  async drain({ ms, reason, othersServe, onMigrating }: DrainOrder): Promise<void> {
    this.#drainBy = now() + ms;
    // A credit may have to wait until a worker has started, within --boot-timeout.
    const stallMs = this.#options.loading.bootTimeout;
    const { drainQuiet } = this.#options.limits;
    // Before the end of the time, as the app has to close.
    const secondary = within(ms * (1 - closingFraction), this.#secondary.drain(drainQuiet));
    await this.#pipeline?.drain(ms, othersServe ? { stallMs, onMigrating } : undefined);
    await Promise.race([secondary, this.#secondaryOver.promise]);
    // A long migration does not shorten the time that the app has to close.
    const left = Math.max(msUntil(this.#drainBy), othersServe ? ms * closingFraction : 0);
    const { shutdownMessage } = this.#options.lifecycle;
    await closeApp(this.#app, reason, this.#before, left, shutdownMessage);
  }

  drainSooner(ms: number, othersServe: boolean): void {
    if (!othersServe) this.#pipeline?.serverStops();
    const drainBy = now() + ms;
    if (drainBy >= this.#drainBy) return;
    this.#drainBy = drainBy;
    this.#pipeline?.drainSooner(ms);
    setTimeout(this.#secondaryOver.resolve, ms * (1 - closingFraction));
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
