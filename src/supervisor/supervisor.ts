// The supervisor is the parent process: it opens the sockets, starts the strategy, performs the actions of operators,
// and shuts down. It loads no user code and speaks HTTP only on the control and admin sockets, so no app or client can break it.
import type { Pages } from '../admin/pages.js';
import { now } from '../clock.js';
import type { Address } from '../config/address.js';
import { type Config, flatten, readyTimeout } from '../config/config.js';
import type { Loaded, Overrides } from '../config/load.js';
import { origin } from '../config/source.js';
import { Queues } from '../connection/queues.js';
import { awaitHeads } from '../connection/session-reader.js';
import type { Act } from '../control/perform.js';
import type {
  Action,
  DumpKind,
  DumpRequest,
  Settings as FlatSettings,
  Request,
  Status,
  WorkerStacks,
  WorkerStatus,
} from '../control/protocol.js';
import { Refused } from '../control/refused.js';
import type { Controls } from '../control/server.js';
import type { Dump } from '../control/take-dump.js';
import { type Deferred, deferred } from '../deferred.js';
import type { StartupError } from '../errors.js';
import type { Events } from '../events.js';
import { Quarantine } from '../inflight/quarantine.js';
import type { Suspect } from '../inflight/suspect.js';
import type { Destination } from '../log/destination.js';
import { ServerMemory } from '../memory/server-memory.js';
import { closeMigrationChannel } from '../migration/channel.js';
import { closeDescriptor } from '../os/descriptor.js';
import { takeSystemdEnv } from '../os/systemd.js';
import { SlotRanges } from '../overload/slot-ranges.js';
import type { ReportOf } from '../reports/report.js';
import type { Reports } from '../reports/reports.js';
import type { Look } from '../scoreboard/loop-view.js';
import { Scoreboard } from '../scoreboard/scoreboard.js';
import { ModelSwitch } from '../strategies/model-switch.js';
import type { Strategy } from '../strategies/strategy.js';
import type { ProcessOptions } from '../worker/process-runtime.js';
import type { Worker } from '../worker/worker.js';
import type { Settings } from './changes.js';
import { type ServerResources, type StrategyContext, strategyContext } from './context.js';
import { Dumps } from './dumps.js';
import { HealthWatch } from './health.js';
import { type Listener, listener, listenersFor } from './listener.js';
import { checkMigrationSupport, openChannelOrWarn } from './migration.js';
import type { Monitoring } from './monitoring.js';
import { Operations, withAppSource } from './operations.js';
import type { OperatorListener } from './operator-listener.js';
import { PidFile } from './pid-file.js';
import { keptSize } from './pool-size.js';
import { startOnProbation } from './probation.js';
import { reloadOnChange } from './reload-on-change.js';
import { SecondaryListeners } from './secondary-listeners.js';
import { reportToSystemd } from './service.js';
import { handleSignals, type SignalTarget } from './signals.js';
import { statusOf, workerStacks, workerStatus } from './status.js';
import { type InheritedState, reportReady, type Successor, startSuccessor } from './successor.js';

export interface SupervisorOptions {
  readonly loaded: Loaded;
  /** Reads the configuration again; `overrides` take precedence. @throws StartupError */
  readonly load: (overrides: Overrides) => Promise<Loaded>;
  readonly accessLog: ProcessOptions['accessLog'];
  /** May include destinations that are not files. */
  readonly logs: readonly Destination[];
  readonly reports: Reports;
  readonly events: Events;
  /** undefined unless this server is the successor of another one. */
  readonly inherited: InheritedState | undefined;
  /** Of mpserve. */
  readonly version: string;
  /** A program has started this server, which stops with it. */
  readonly endsWithProgram: boolean;
}

/** The exit code after a second Ctrl-C: 128 + SIGINT, as shells report it. */
const killedExitCode = 130;
/** The time that a successor has to start, in addition to the time for its workers. */
const successorBootMs = 10_000;
/** The time for requests in flight in a quick stop. */
const quickStopMs = 1000;

interface Stop {
  readonly reason: string;
  readonly isQuick: boolean;
  /** Present after an upgrade. */
  readonly successor?: Successor;
  /** Why the server gives up. */
  readonly error?: StartupError;
}

export class Supervisor implements SignalTarget, Controls {
  readonly #options: SupervisorOptions;
  readonly #quarantine: Quarantine;
  readonly #health: HealthWatch;
  readonly #startedAt = now();
  readonly #stop = deferred<Stop>();
  /** When all workers have exited. */
  readonly #ended = deferred<void>();
  readonly #spawned = deferred<void>();
  /** Settles when the first workers have been spawned. */
  readonly spawned = this.#spawned.promise;
  /** The environment variables of systemd, which the app does not get. */
  readonly #systemd = takeSystemdEnv(process.env);
  readonly #listeners: Listener[] = [];
  readonly #memory = new ServerMemory();
  readonly #secondary: SecondaryListeners;
  readonly #stopping = new AbortController();
  readonly #scoreboard = new Scoreboard((how) => Promise.all(this.#workers.map((worker) => workerStatus(worker, how))));
  /** The files of the Unix sockets are this server's. Those of a successor are the old server's until it has replaced that. */
  #hasTakenOver: boolean;
  /** Defined after an upgrade. */
  #successor: Successor | undefined;
  #pidFile: PidFile | undefined;
  #control: OperatorListener | undefined;
  #admin: OperatorListener | undefined;
  /** Imported only for --admin. */
  #adminModule: typeof import('./admin-listener.js') | undefined;
  #monitoring: Monitoring | undefined;
  /** Imported only for a control socket, because importing an HTTP server takes 2 ms. */
  #controlModule: typeof import('./control-listener.js') | undefined;
  #state: 'starting' | 'serving' | 'stopping' = 'starting';
  #urls: readonly string[] = [];
  #strategy: ModelSwitch | undefined;
  readonly #dumps: Dumps;
  #operations: Operations | undefined;
  #scaled: Status['scaled'];
  #placedAgain = 0;
  #killed = false;
  /** While a stop is delayed: another one ends the delay. */
  #stopAgain: Deferred<Stop> | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const { reports, events, inherited } = options;
    this.#hasTakenOver = inherited === undefined;
    this.#secondary = new SecondaryListeners(
      inherited?.secondary ?? [],
      inherited?.generation ?? 0,
      () => this.#listeners,
    );
    this.#quarantine = new Quarantine(options.loaded.config.lifecycle, reports, events);
    this.#health = new HealthWatch(reports);
    this.#dumps = new Dumps({ workers: () => this.#workers, events });
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

  /** Serves until it is stopped. Resolves to the exit code. @throws StartupError */
  async run(): Promise<number> {
    const { loaded, reports, events, inherited } = this.#options;
    const { config } = loaded;
    /** Called at the end, the last first. */
    const cleanups = [handleSignals(this)];
    try {
      cleanups.push(reportToSystemd(reports, this.#systemd));
      const resources = await this.#open(cleanups);
      warnAboutRoot(config.processes, events);
      const { generation } = inherited ?? { generation: 0 };
      const context = strategyContext(loaded, resources);
      const size = inherited?.pool && keptSize(inherited.pool, config.pool);
      const strategy = new ModelSwitch(context.group, { ...context.hosting, size }, generation + 1);
      this.#strategy = strategy;
      if (inherited) strategy.setMigration({ receives: true });
      const starting = inherited
        ? startOnProbation(strategy, reports, config, this.#stopping.signal)
        : strategy.start();
      this.#spawned.resolve();
      const started = starting
        .then(() => this.#serve(strategy, resources, context))
        .catch((error) => {
          strategy.kill();
          throw withAppSource(error, loaded);
        });
      const asked = await Promise.race([this.#stop.promise, started.then(() => this.#stop.promise)]);
      const stop = await this.#untilNoticed(asked);
      const exitCode = await this.#shutDown(strategy, stop);
      if (stop.error) throw withAppSource(stop.error, loaded);
      return exitCode;
    } finally {
      this.#closeListeners(!this.#hasTakenOver);
      this.#ended.resolve();
      for (const one of [this.#control, this.#admin]) await (this.#hasTakenOver ? one?.close() : one?.abandon());
      this.#pidFile?.remove();
      for (const cleanup of cleanups.reverse()) cleanup();
    }
  }

  /** Opens the server's resources, or takes those that it has inherited. @throws StartupError */
  async #open(cleanups: (() => void)[]): Promise<ServerResources> {
    const { loaded, reports, events, accessLog, inherited } = this.#options;
    const { config, sources } = loaded;
    const { control, pidFile } = config.server;
    if (control !== undefined || inherited?.control) this.#controlModule = await import('./control-listener.js');
    if (inherited) this.#listeners.push(...inherited.listeners.map(listener));
    else {
      if (pidFile !== undefined) this.#pidFile = PidFile.write(pidFile, origin(sources.pidFile));
      this.#listeners.push(...(await listenersFor(loaded, this.#systemd)));
      if (control !== undefined) {
        this.#control = await this.#controlModule?.openControlListener(
          control,
          origin(sources.control),
          this,
          this.#pages,
        );
      }
    }
    this.#urls = this.#listeners.map(({ url }) => url);
    awaitHeads(
      config.sessions.sticky,
      this.#listeners.map(({ fd }) => fd),
    );
    if (config.server.watch.length > 0) {
      const reload = (reason: string) => this.#perform('reload', {}, reason, () => {});
      await reloadOnChange(loaded, reload, events, this.#stopping.signal);
    }
    const migrationChannel = inherited?.migrationChannel ?? openChannelOrWarn(config.lifecycle, events);
    const memory = this.#memory;
    cleanups.push(() => migrationChannel && closeMigrationChannel(migrationChannel));
    cleanups.push(() => memory.close());
    if (config.server.admin !== undefined) await this.#openAdmin(config.server.admin, memory, cleanups);
    cleanups.push(() => this.#monitoring?.counters.end());
    return {
      listeners: this.#listeners,
      queues: new Queues(this.#listeners.flatMap(({ queues }) => queues)),
      accessLog,
      quarantine: this.#quarantine,
      reports,
      health: this.#health,
      counters: this.#monitoring?.counters,
      events,
      migrationChannel,
      memory,
      slots: new SlotRanges((start, bytes) => memory.clear('places', start, bytes)),
      secondary: this.#secondary,
      accepted: { count: 0 },
    };
  }

  /** Of the admin server, on the control socket; none without --admin. */
  readonly #pages = (): Pages => this.#monitoring?.pages ?? {};

  /** @throws StartupError */
  async #openAdmin(address: Address, memory: ServerMemory, cleanups: (() => void)[]): Promise<void> {
    const { loaded, reports, inherited, version } = this.#options;
    this.#adminModule = await import('./admin-listener.js');
    this.#monitoring = new this.#adminModule.Monitoring({
      reports,
      memory: memory.descriptorFor(loaded.config) as number,
      inherited: inherited?.counts,
      inheritedHistory: inherited?.history,
      version,
      status: () => this.status(),
      workers: (how) => this.workers(how),
      config: () => this.#settings.config,
      quarantine: () => this.quarantine(),
      listeners: this.#listeners,
    });
    cleanups.push(() => this.#monitoring?.close());
    if (!inherited?.admin) this.#serveAdmin(await this.#adminModule.openAdminSocket(address, loaded));
  }

  /** @throws StartupError */
  #serveAdmin(socket: Listener): void {
    const { loaded, events } = this.#options;
    if (!this.#monitoring) return;
    this.#admin = this.#adminModule?.serveAdmin(socket, this.#monitoring, this.act, loaded, events);
  }

  /** --stop-delay: serves on until load balancers have noticed that it stops. @returns the last stop that was asked for */
  async #untilNoticed(stop: Stop): Promise<Stop> {
    const { stopDelay: ms } = this.#settings.config.lifecycle;
    if (ms === 0 || stop.isQuick || stop.successor || this.#state !== 'serving') return stop;
    this.#state = 'stopping';
    this.#memory.setStopping();
    this.#options.events.tell({ event: 'stop-delayed', reason: stop.reason, ms });
    const again = deferred<Stop>();
    this.#stopAgain = again;
    const timer = setTimeout(() => again.resolve(stop), ms);
    const last = await again.promise;
    clearTimeout(timer);
    this.#stopAgain = undefined;
    return last;
  }

  /** Drains the strategy and closes the listeners, or leaves them to the successor. Resolves to the exit code. */
  async #shutDown(strategy: Strategy, stop: Stop): Promise<number> {
    const { reason, successor } = stop;
    this.#state = 'stopping';
    this.#operations?.close();
    this.#dumps.close();
    this.#health.watch(undefined);
    this.#stopping.abort();
    const drained = this.#drain(strategy, stop);
    // Closed before the drain ends: new clients are refused instead of queued, and another server can use the port.
    this.#closeListeners(successor !== undefined || !this.#hasTakenOver);
    const abandoned = successor && Promise.all([this.#control?.abandon(), this.#admin?.abandon()]);
    await drained;
    await abandoned;
    const fullReason = this.#killed ? `${reason}, then killed` : reason;
    this.#options.events.tell({ event: 'stopped', reason: fullReason, requests: strategy.snapshot().answered });
    return this.#killed ? killedExitCode : 0;
  }

  /** Again, it shortens the time that is left. */
  #drain(strategy: Strategy, { reason, isQuick, successor }: Stop): Promise<void> {
    const { gracefulTimeout } = this.#settings.config.lifecycle;
    const gracefulMs = isQuick ? Math.min(quickStopMs, gracefulTimeout) : gracefulTimeout;
    this.#options.reports.publish({ kind: 'stopping', reason, gracefulMs });
    return strategy.drain(gracefulMs, successor !== undefined);
  }

  /** @param othersServe another server has the sockets and their files */
  #closeListeners(othersServe: boolean): void {
    for (const listener of [...this.#listeners.splice(0), this.#secondary])
      othersServe ? listener.abandon() : listener.close();
  }

  /** With --admin. @param line of this server's log */
  logged(line: string): void {
    this.#monitoring?.logged(line);
  }

  stop(reason: string, isQuick: boolean): void {
    if (this.#stopAgain) this.#stopAgain.resolve({ reason, isQuick });
    else if (isQuick && this.#state === 'stopping' && this.#strategy)
      void this.#drain(this.#strategy, { reason, isQuick, ...(this.#successor && { successor: this.#successor }) });
    else this.#stop.resolve({ reason, isQuick });
  }

  kill(): void {
    if (!this.#strategy) process.exit(killedExitCode); // no worker has been started
    this.#killed = true;
    this.#strategy.kill();
  }

  attempt(action: Exclude<Action, 'stop'>, signal: string, request: Request = {}): void {
    this.#perform(action, request, signal, () => {}).catch((error: Error) => {
      if (!(error instanceof Refused)) return; // `Operations` reports it
      this.#options.events.tell({ event: 'operation-refused', action, by: signal, reason: error.message });
    });
  }

  status(): Status {
    return statusOf({
      state: this.#state,
      startedAt: this.#startedAt,
      urls: this.#urls,
      config: this.#settings.config,
      snapshot: this.#strategy?.snapshot(),
      health: this.#health,
      scaled: this.#scaled,
      placedAgain: this.#placedAgain,
      operation: this.#operations?.state ?? {},
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

  /** Those that serve first. */
  get #workers(): readonly Worker[] {
    return this.#strategy?.snapshot().workers ?? [];
  }

  quarantine(): readonly Suspect[] {
    return this.#quarantine.list();
  }

  /** The current configuration; reloads and switches change it. */
  config(): FlatSettings {
    const { config, sources } = this.#settings;
    return { config: flatten(config), sources };
  }

  get #settings(): Settings {
    return this.#operations?.settings ?? this.#options.loaded;
  }

  readonly act: Act = async (action, request, onProgress, by = 'mpserve ctl') => {
    const reason = `${by} ${action}`;
    if (action !== 'stop') return this.#perform(action, request, reason, onProgress);
    const { now = false } = request;
    if (this.#successor) throw new Refused(`process ${this.#successor.pid} has replaced this server; try again`);
    this.stop(now ? `${reason} --now` : reason, now);
    onProgress(now ? 'stopping' : 'stopping: waiting for requests in flight');
    if (now) this.#strategy?.kill();
    await this.#ended.promise;
    return 'stopped';
  };

  /** @throws Refused if the action was not started, Error if it failed */
  async #perform(
    action: Exclude<Action, 'stop'>,
    { workers = '', options = {} }: Request,
    reason: string,
    onProgress: (message: string) => void,
  ): Promise<string> {
    const operations = this.#operations;
    if (!operations) throw new Refused('the server is still starting');
    const actions: { readonly [A in typeof action]: () => Promise<string> } = {
      reload: () => operations.reload(reason, onProgress),
      upgrade: () => operations.upgrade(reason, onProgress),
      scale: () => operations.scale(workers, reason, onProgress),
      switch: () => operations.switch(options, reason, onProgress),
      balance: () => operations.balance(options, reason),
      drain: () => operations.drain(reason),
      reopen: () => operations.reopen(reason),
      release: () => operations.clearQuarantine(reason),
    };
    return actions[action]();
  }

  /** The first workers are ready: announces the server, and accepts actions. */
  #serve(strategy: ModelSwitch, resources: ServerResources, context: StrategyContext): void {
    if (this.#state === 'stopping') return; // a stop was requested meanwhile
    const { loaded, load, logs, reports, events, inherited } = this.#options;
    const { model, workers, threads } = loaded.config.pool;
    this.#state = 'serving';
    this.#operations = new Operations({
      strategy,
      loaded,
      load,
      resources,
      context,
      logs,
      overrides: inherited?.operator ?? {},
      startSuccessor: (overrides) => this.#startSuccessor(resources, overrides),
      handOff: (successor) => {
        this.#successor = successor;
        this.#stop.resolve({ reason: `upgraded to process ${successor.pid}`, isQuick: false, successor });
      },
    });
    this.#health.watch(strategy);
    if (inherited) this.#replacePredecessor(inherited, strategy);
    this.#secondary.keepOnly(strategy.snapshot().generation);
    const [url = ''] = this.#urls;
    const bootMs = Math.round(process.uptime() * 1000); // since the process started
    reports.publish({ kind: 'ready', url, urls: this.#urls, model, workers, threads, bootMs });
    void this.#untilProven(loaded.config, reports);
    if (resources.migrationChannel && loaded.config.lifecycle.migrate) void checkMigrationSupport(strategy, events);
  }

  /** Gives up a server whose first workers die again and again; otherwise reports that they live. */
  async #untilProven({ pool, lifecycle }: Config, reports: Reports): Promise<void> {
    const { probation: ms } = lifecycle;
    // A successor's have passed already.
    if (ms > 0 && !this.#options.inherited) {
      try {
        await this.#health.untilSteady(ms, pool.workers * pool.threads, this.#stopping.signal);
      } catch (error) {
        const reason = 'the first workers die again and again';
        return this.#stop.resolve({ reason, isQuick: true, error: error as StartupError });
      }
    }
    if (this.#state === 'serving') reports.publish({ kind: 'probation-passed', ms });
  }

  /**
   * In a successor: takes over the pid file and the control socket, serves clients, and reports that it is ready.
   * @throws StartupError, SystemCallError; the old server keeps serving then
   */
  #replacePredecessor({ control, admin, counts }: InheritedState, strategy: Strategy): void {
    const { config, sources } = this.#options.loaded;
    const { pidFile } = config.server;
    if (pidFile !== undefined) this.#pidFile = PidFile.takeOver(pidFile, origin(sources.pidFile));
    if (control) this.#control = this.#controlModule?.serveControl(listener(control), this, this.#pages);
    if (admin && this.#monitoring) this.#serveAdmin(listener(admin));
    else if (admin) listener(admin).close(); // no longer configured
    strategy.open(); // when nothing else can fail: the old server cannot have a connection back
    this.#hasTakenOver = true;
    reportReady(() => {
      strategy.setMigration({ receives: false });
      this.#monitoring?.predecessorEnded();
      if (counts) closeDescriptor(counts.fd);
    });
  }

  /** @throws StartupError, Refused */
  async #startSuccessor({ listeners, migrationChannel }: ServerResources, operator: Overrides): Promise<Successor> {
    if (process.pid === 1) {
      throw new Refused(
        'cannot upgrade the first process of a container, because the container ends with it; replace the container',
      );
    }
    if (this.#options.endsWithProgram) {
      throw new Refused(
        'cannot upgrade a server that a program has started, because the new one would not stop with it; restart the program',
      );
    }
    const {
      loading,
      lifecycle,
      pool: { model, workers },
    } = this.#settings.config;
    const timeoutMs = readyTimeout(loading) + loading.bootTimeout + lifecycle.probation + successorBootMs;
    const { generation, size } = this.#strategy?.snapshot() ?? { generation: 0, size: 0 };
    const pool = { model, workers, size };
    const control = this.#control?.listener;
    const secondary = this.#secondary.inheritable;
    const admin = this.#admin?.listener;
    const counts = this.#monitoring?.inheritable;
    const history = this.#monitoring?.history;
    const state: InheritedState = {
      listeners,
      migrationChannel,
      control,
      secondary,
      operator,
      pool,
      generation,
      admin,
      counts,
      history,
    };
    // systemd's watchdog waits for the main process, which the successor becomes.
    const { WATCHDOG_PID: _, ...systemd } = this.#systemd;
    const env = { ...process.env, ...systemd };
    return startSuccessor(state, env, timeoutMs, this.#stopping.signal);
  }
}

/** An attacker who exploits the app would be root. */
function warnAboutRoot({ user }: Config['processes'], events: Events): void {
  if (process.getuid?.() !== 0 || (user !== undefined && user !== 'root' && user !== '0')) return;
  events.tell({ event: 'warning', warning: 'the app runs as root; name another user with --user' });
}
