// Loads the app and handles single requests with it on this event loop, which its process sends: what a thread does that
// serves no connections.

import { Activity } from '../activity.js';
import type { App } from '../app/app.js';
import { within } from '../clock.js';
import { deferred } from '../deferred.js';
import { type DenylistEntries, emptyDenylist } from '../inflight/denylist.js';
import { BusyClock } from '../pipeline/busy.js';
import { journalRequests } from '../pipeline/journal.js';
import { LoopWatch } from '../pipeline/loop-watch.js';
import { createPipeline, type Pipeline } from '../pipeline/pipeline.js';
import type { RequestInFlight } from '../reports/report.js';
import { type LoadMeter, loadMeter } from '../scaling/load-meter.js';
import { type LoopView, maxRequestViews } from '../scoreboard/loop-view.js';
import { TaskServer, type TaskServerOptions } from '../tasks/task-server.js';
import type { RunnerOptions } from './app-runner.js';
import { HostedApp } from './hosted-app.js';
import type { DrainOrder, Service } from './service.js';

export class TaskRunner implements Service {
  readonly #options: RunnerOptions;
  readonly #tasks: Pick<TaskServerOptions, 'port' | 'claims' | 'limit'>;
  readonly #clock = new BusyClock();
  readonly #meter: LoadMeter | undefined;
  readonly #app: HostedApp;
  readonly #watch = new LoopWatch();
  /** In a drain: what is in flight gets no more time. */
  readonly #over = deferred<void>();
  #isDraining = false;
  #server: TaskServer | undefined;
  #loaded: App | undefined;

  /** @param tasks where they come from */
  constructor(options: RunnerOptions, tasks: Pick<TaskServerOptions, 'port' | 'claims' | 'limit'>) {
    this.#options = options;
    this.#tasks = tasks;
    this.#app = new HostedApp(options);
    this.#meter = options.measure && loadMeter(options.measure, this.#clock);
  }

  async start(): Promise<void> {
    const { measure, journal, limits, activity, tell } = this.#options;
    const app = await this.#app.load();
    this.#loaded = app;
    await this.#app.untilReady(() => this.#ownPipeline(app));
    const recorded = journal && journalRequests(journal, tell, false);
    const busy = measure === 'busy' ? this.#clock : undefined;
    this.#server = new TaskServer({
      app,
      ...this.#tasks,
      stages: [...(busy ? [busy.stage] : []), ...(recorded ? [recorded.stage] : [])],
      onHead: recorded?.onHead,
      onClose: [...(recorded ? [recorded.onClose] : []), ...(busy ? [busy.onClose] : [])],
      addsSignal: limits.requestDeadline > 0,
      activity,
      tell,
    });
  }

  check(): Promise<string | undefined> {
    return this.#app.check(async () => this.#loaded && this.#ownPipeline(this.#loaded));
  }

  /** It gets none. */
  async serve(): Promise<void> {}

  drain(order: DrainOrder): Promise<void> {
    this.#isDraining = true;
    return this.#app.drain(order, async () => {
      await within(order.ms, Promise.race([this.#server?.drain(), this.#over.promise]));
    });
  }

  drainSooner(ms: number): void {
    if (this.#app.drainSooner(ms)) setTimeout(this.#over.resolve, ms);
  }

  setMigration(): void {}

  get answered(): number {
    return this.#server?.answered ?? 0;
  }

  load(): number | undefined {
    return this.#meter?.();
  }

  inFlight(): readonly RequestInFlight[] {
    return this.#server?.inFlight ?? [];
  }

  async look(): Promise<readonly LoopView[]> {
    const tasks = this.#server?.tasks ?? [];
    const isWorking = tasks.some(({ res }) => !res.headersSent);
    const busy = isWorking ? 'working' : tasks.length > 0 ? 'writing' : 'idle';
    return [
      {
        tid: this.#options.identity.tid,
        state: this.#isDraining ? 'draining' : busy,
        isHosted: true,
        connections: 0,
        requests: this.answered,
        inFlight: tasks.length,
        oldest: tasks.slice(0, maxRequestViews).map(({ inFlight, client }) => ({ ...inFlight, client })),
        received: 0,
        sent: 0,
        ...this.#watch.look(),
      },
    ];
  }

  /** Its process refuses requests. Here only those are looked for that kill the thread. */
  setDenylist({ isSearching }: DenylistEntries): void {
    this.#options.journal?.denylist.set({ ...emptyDenylist, isSearching });
  }

  shed(): void {}

  idleFor(): number {
    return -1;
  }

  /** For questions to the app itself. */
  #ownPipeline(app: App): Promise<Pipeline> {
    const quiet = {
      accessLog: undefined,
      busy: undefined,
      files: undefined,
      compress: undefined,
      journal: undefined,
      slot: undefined,
      memory: undefined,
    };
    const limits = { ...this.#options.limits, rateLimit: undefined };
    const overload = { ...this.#options.overload, healthPath: [] };
    const alone = { migrationChannel: undefined, counts: false, countsAnswers: false, activity: new Activity() };
    return createPipeline({ ...this.#options, ...quiet, ...alone, limits, overload, app });
  }
}
