// What operators can ask of the server, and have it do, over its control socket, its admin server and by signals.
import { now } from '../clock.js';
import { flatten } from '../config/config.js';
import type { Act } from '../control/perform.js';
import type {
  Action,
  CacheStatus,
  DumpKind,
  DumpRequest,
  Settings as FlatSettings,
  Request,
  Restarts,
  Status,
  WorkerStacks,
  WorkerStatus,
} from '../control/protocol.js';
import { Refused } from '../control/refused.js';
import type { Controls } from '../control/server.js';
import type { Dump } from '../control/take-dump.js';
import type { Events } from '../events.js';
import type { Quarantine } from '../inflight/quarantine.js';
import type { Suspect } from '../inflight/suspect.js';
import type { ServerMemory } from '../memory/server-memory.js';
import type { ReportOf } from '../reports/report.js';
import type { Reports } from '../reports/reports.js';
import type { Look } from '../scoreboard/loop-view.js';
import { Scoreboard } from '../scoreboard/scoreboard.js';
import type { StrategySnapshot } from '../strategies/strategy.js';
import type { Worker } from '../worker/worker.js';
import { CacheControl, shownStore } from './cache.js';
import type { CacheMemory } from './cache-memory.js';
import type { Settings } from './changes.js';
import { Dumps } from './dumps.js';
import type { HealthWatch } from './health.js';
import type { Operations } from './operations.js';
import { statusOf, workerStacks, workerStatus } from './status.js';

export interface ServerControlsOptions {
  readonly reports: Reports;
  readonly events: Events;
  readonly quarantine: Quarantine;
  readonly health: HealthWatch;
  readonly memory: ServerMemory;
  readonly cacheMemory: CacheMemory;
  readonly state: () => 'starting' | 'serving' | 'stopping';
  readonly urls: () => readonly string[];
  /** The current ones; reloads and switches change them. */
  readonly settings: () => Settings;
  /** undefined before there is a strategy. */
  readonly snapshot: () => StrategySnapshot | undefined;
  /** undefined until the first workers are ready. */
  readonly operations: () => Operations | undefined;
  /** undefined without --admin. */
  readonly restarts: () => Restarts | undefined;
  /** Settles when the server has stopped. @param isNow kills the workers. @throws Refused */
  readonly stop: (reason: string, isNow: boolean, onProgress: (message: string) => void) => Promise<void>;
}

export class ServerControls implements Controls {
  readonly #options: ServerControlsOptions;
  readonly #startedAt = now();
  readonly #scoreboard = new Scoreboard((how) => Promise.all(this.#workers.map((worker) => workerStatus(worker, how))));
  readonly #dumps: Dumps;
  readonly #cache: CacheControl;
  #scaled: Status['scaled'];
  #placedAgain = 0;

  constructor(options: ServerControlsOptions) {
    const { reports, events, memory, cacheMemory } = options;
    this.#options = options;
    this.#dumps = new Dumps({ workers: () => this.#workers, events });
    this.#cache = new CacheControl(memory, cacheMemory);
    const scaled = ({ kind, from, to, reason }: ReportOf<'scaled' | 'threads-scaled'>): void => {
      const unit = kind === 'scaled' ? 'workers' : 'threads';
      this.#scaled = { at: new Date().toISOString(), from, to, unit, reason };
    };
    reports.subscribe({
      scaled,
      'threads-scaled': scaled,
      'sessions-placed-again': ({ count }) => {
        this.#placedAgain += count;
      },
    });
  }

  status(): Status {
    const { state, urls, settings, snapshot, health, operations } = this.#options;
    return statusOf({
      state: state(),
      startedAt: this.#startedAt,
      urls: urls(),
      config: settings().config,
      routes: settings().routes,
      snapshot: snapshot(),
      health,
      scaled: this.#scaled,
      placedAgain: this.#placedAgain,
      cache: this.cache(),
      operation: operations()?.state ?? {},
      restarts: this.#options.restarts(),
    });
  }

  workers(how: Look = 'wholly'): Promise<readonly WorkerStatus[]> {
    return this.#scoreboard.rows(how);
  }

  stacks(): Promise<readonly WorkerStacks[]> {
    return Promise.all(this.#workers.map(workerStacks));
  }

  dump(kind: DumpKind, request: DumpRequest, signal: AbortSignal): Promise<Dump> {
    return this.#dumps.open(kind, request, signal);
  }

  quarantine(): readonly Suspect[] {
    return this.#options.quarantine.list();
  }

  cache(): CacheStatus | null {
    return this.#cache.status(this.#options.settings().config.cache);
  }

  config(): FlatSettings {
    const { config, sources } = this.#options.settings();
    const values = flatten(config);
    // A client of the control socket may show it.
    return { config: { ...values, cacheStore: shownStore(values.cacheStore) }, sources };
  }

  readonly act: Act = async (action, request, onProgress, by = 'mpserve ctl') => {
    const reason = `${by} ${action}`;
    if (action !== 'stop') return this.perform(action, request, reason, onProgress);
    const { now: isNow = false } = request;
    await this.#options.stop(isNow ? `${reason} --now` : reason, isNow, onProgress);
    return 'stopped';
  };

  /** @throws Refused if the action was not started, Error if it failed */
  async perform(
    action: Exclude<Action, 'stop'>,
    request: Request,
    reason: string,
    onProgress: (message: string) => void = () => {},
  ): Promise<string> {
    const operations = this.#options.operations();
    if (!operations) throw new Refused('the server is still starting');
    const { workers = '', options = {} } = request;
    const actions: { readonly [A in typeof action]: () => Promise<string> } = {
      reload: () => operations.reload(reason, onProgress),
      upgrade: () => operations.upgrade(reason, onProgress),
      scale: () => operations.scale(workers, reason, onProgress),
      switch: () => operations.switch(options, reason, onProgress),
      balance: () => operations.balance(options, reason),
      drain: () => operations.drain(reason),
      reopen: () => operations.reopen(reason),
      release: () => operations.clearQuarantine(reason),
      purge: async () => this.#purge(request, reason),
    };
    return actions[action]();
  }

  /** Also while another action is in progress. @throws Refused */
  #purge(request: Request, reason: string): string {
    const purged = this.#cache.purge(request, this.#options.settings().config.cache.cache);
    this.#options.events.tell({ event: 'cache-purged', purged, reason });
    return `purged ${purged}`;
  }

  /** As `perform`, for a signal: nothing waits for the outcome, which goes to the log. */
  attempt(action: Exclude<Action, 'stop'>, signal: string, request: Request = {}): void {
    this.perform(action, request, signal).catch((error: Error) => {
      if (!(error instanceof Refused)) return; // `Operations` reports it
      this.#options.events.tell({ event: 'operation-refused', action, by: signal, reason: error.message });
    });
  }

  /** Ends the dumps. @param reason for those that wait for them */
  close(reason: string): void {
    this.#dumps.close(reason);
  }

  /** Those that serve first. */
  get #workers(): readonly Worker[] {
    return this.#options.snapshot()?.workers ?? [];
  }
}
