// Runs every connection on this very event loop. It is also what each thread of the other executors does inside.
import type { Activity } from '../activity.js';
import type { App } from '../app/app.js';
import { loadApp } from '../app/load.js';
import { now, until } from '../clock.js';
import type { IncomingConnection } from '../connection/incoming.js';
import type { RequestInFlight, WorkerIdentity } from '../events.js';
import type { FlightDeck } from '../flight/deck.js';
import { nothingWatched, type Watched } from '../flight/watchlist.js';
import { libc } from '../os/libc.js';
import { BusyClock } from '../pipeline/busy.js';
import { closingShare, createPipeline, type Pipeline } from '../pipeline/pipeline.js';
import { type LoadMeter, loadMeter } from '../upkeep/load-meter.js';
import { farewell, type Leave } from './close-app.js';
import { untilReady } from './readiness.js';
import type { Executor, ExecutorSnapshot, Tell } from './service.js';
import type { ThreadSettings } from './settings.js';
import { warmUp } from './warm-up.js';

/**
 * A connection that lasts so long is kept by its client, and may have to be given away (milliseconds). What that needs is
 * loaded now, not when all have to at once.
 */
const keptAfter = 1000;

export class Inline implements Executor {
  readonly #settings: ThreadSettings;
  readonly #identity: WorkerIdentity;
  readonly #maxConnections: number;
  readonly #tell: Tell;
  readonly #deck: FlightDeck | undefined;
  readonly #activity: Activity;
  readonly #clock = new BusyClock();
  readonly #meter: LoadMeter | undefined;
  #watched = nothingWatched;
  #app: App | undefined;
  /** What was pending before the app was loaded. */
  #before: string[] = [];
  #pipeline: Pipeline | undefined;
  #preparing: NodeJS.Timeout | undefined;

  /**
   * @param deck where it keeps record of the requests that it is at
   * @param activity of this event loop, whose connections are those that it runs
   */
  constructor(
    settings: ThreadSettings,
    identity: WorkerIdentity,
    maxConnections: number,
    tell: Tell,
    deck: FlightDeck | undefined,
    activity: Activity,
  ) {
    this.#activity = activity;
    this.#deck = deck;
    const { measure } = settings;
    this.#meter = measure && loadMeter(measure, this.#clock);
    this.#identity = identity;
    this.#settings = settings;
    this.#maxConnections = maxConnections;
    this.#tell = tell;
  }

  async start(warmsUp: boolean): Promise<void> {
    const { app: target, addresses, demoFaults, bootTimeout: timeout } = this.#settings;
    const { limits, limitsGiven, accessLog, readyPath, isRehearsed, migrationChannel } = this.#settings;
    const options = {
      limits,
      limitsGiven,
      accessLog,
      busy: this.#settings.measure === 'busy' ? this.#clock : undefined,
      flights: this.#deck,
      migrationChannel,
      countsAnswers: this.#settings.countsAnswers,
      identity: this.#identity,
      maxConnections: this.#maxConnections,
      tell: this.#tell,
      activity: this.#activity,
    };
    if (warmsUp) await warmUp(options);
    this.#before = process.getActiveResourcesInfo();
    const app = await loadApp({ target, addresses, demoFaults, timeout });
    this.#app = app;
    const pipeline = await createPipeline({ ...options, app });
    if (readyPath !== undefined && !isRehearsed) await untilReady(pipeline, readyPath, timeout);
    this.#pipeline = pipeline;
    this.beware(this.#watched);
  }

  async run(connection: IncomingConnection): Promise<void> {
    this.#preparing ??= this.#settings.migrationChannel && setTimeout(libc, keptAfter).unref();
    await this.#pipeline?.adopt(connection);
  }

  async drain(ms: number, leave: Leave, carries: boolean, onMigrating: () => void): Promise<void> {
    const deadline = now() + ms;
    // A credit may have to wait until a worker has started, within --boot-timeout.
    const stallMs = this.#settings.bootTimeout;
    await this.#pipeline?.drain(ms, carries ? { stallMs, onMigrating } : undefined);
    // What a long migration has taken is not taken from the app.
    const left = Math.max(until(deadline), carries ? ms * closingShare : 0);
    await farewell(this.#app, leave, this.#before, AbortSignal.timeout(left));
  }

  stay(): void {
    this.#pipeline?.stay();
  }

  /** There is always room for them. */
  expect(): void {}

  share(part: number): void {
    this.#pipeline?.share(part);
  }

  snapshot(): ExecutorSnapshot {
    return { served: this.#pipeline?.served ?? 0 };
  }

  load(): number | undefined {
    return this.#meter?.();
  }

  /** The requests that are being served. */
  inFlight(): readonly RequestInFlight[] {
    return this.#pipeline?.inFlight() ?? [];
  }

  beware(watched: Watched): void {
    this.#watched = watched;
    // Nothing is refused until it is ready: whether it is, is asked of the app itself.
    if (this.#pipeline) this.#deck?.watchlist.set(watched);
  }

  shed(): void {
    this.#pipeline?.shed();
  }

  /** Milliseconds for which the slowest client has kept us waiting; -1 while all wait for the app. */
  idleFor(): number {
    return this.#pipeline?.idleFor() ?? -1;
  }
}
