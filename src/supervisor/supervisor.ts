// The supervisor is the parent process: it opens the sockets, starts the strategy, performs the actions of operators,
// and shuts down. It loads no user code and speaks HTTP only on the control and admin sockets, so no app or client can break it.
import type { Config } from '../config/config.js';
import type { Loaded, Overrides } from '../config/load.js';
import { origin } from '../config/source.js';
import { Queues } from '../connection/queues.js';
import { awaitHeads } from '../connection/session-reader.js';
import type { Action, Request, Status } from '../control/protocol.js';
import { Refused } from '../control/refused.js';
import { type Deferred, deferred } from '../deferred.js';
import type { StartupError } from '../errors.js';
import type { Events } from '../events.js';
import { Quarantine } from '../inflight/quarantine.js';
import type { Destination } from '../log/destination.js';
import { ServerMemory } from '../memory/server-memory.js';
import { closeMigrationChannel } from '../migration/channel.js';
import { reapOrphans } from '../os/orphans.js';
import { takeSystemdEnv } from '../os/systemd.js';
import { SlotRanges } from '../overload/slot-ranges.js';
import type { Reports } from '../reports/reports.js';
import { ModelSwitch } from '../strategies/model-switch.js';
import { Routed } from '../strategies/routed.js';
import type { ServerStrategy } from '../strategies/server-strategy.js';
import type { Strategy } from '../strategies/strategy.js';
import type { ProcessOptions } from '../worker/fork.js';
import { CacheMemory } from './cache-memory.js';
import type { Settings } from './changes.js';
import { type StrategyContext, strategyContext } from './context.js';
import { HealthWatch } from './health.js';
import { watchLimits } from './limits-watch.js';
import { type Listener, listener, listenersFor } from './listener.js';
import { LogFiles } from './log-files.js';
import { checkMigrationSupport, openChannelOrWarn } from './migration.js';
import { Operations, withAppSource } from './operations.js';
import { OperatorServers } from './operator-servers.js';
import { PidFile } from './pid-file.js';
import { keptSize } from './pool-size.js';
import { startOnProbation } from './probation.js';
import { reloadOnChange } from './reload-on-change.js';
import type { ServerResources } from './resources.js';
import { rotateLogs } from './rotate-logs.js';
import { openRoutes } from './route-resources.js';
import { SecondaryListeners } from './secondary-listeners.js';
import { ServerControls } from './server-controls.js';
import { reportToSystemd } from './service.js';
import { handleSignals, type SignalTarget } from './signals.js';
import { type InheritedState, reportReady, type Successor } from './successor.js';
import { upgrade } from './upgrade.js';

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

export class Supervisor implements SignalTarget {
  readonly #options: SupervisorOptions;
  readonly #quarantine: Quarantine;
  readonly #health: HealthWatch;
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
  readonly #cacheMemory = new CacheMemory(() => this.#settings.config);
  readonly #secondary: SecondaryListeners;
  readonly #stopping = new AbortController();
  readonly #controls: ServerControls;
  readonly #operators: OperatorServers;
  /** The files of the Unix sockets are this server's. Those of a successor are the old server's until it has replaced that. */
  #hasTakenOver: boolean;
  /** Defined after an upgrade. */
  #successor: Successor | undefined;
  #pidFile: PidFile | undefined;
  #state: 'starting' | 'serving' | 'stopping' = 'starting';
  #urls: readonly string[] = [];
  #strategy: ServerStrategy | undefined;
  #operations: Operations | undefined;
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
    this.#controls = new ServerControls({
      reports,
      events,
      quarantine: this.#quarantine,
      health: this.#health,
      memory: this.#memory,
      cacheMemory: this.#cacheMemory,
      state: () => this.#state,
      urls: () => this.#urls,
      settings: () => this.#settings,
      snapshot: () => this.#strategy?.snapshot(),
      operations: () => this.#operations,
      restarts: () => this.#operators.restarts,
      stop: (reason, isNow, onProgress) => this.#stopAsTold(reason, isNow, onProgress),
    });
    this.#operators = new OperatorServers({
      ...options,
      controls: this.#controls,
      config: () => this.#settings.config,
      listeners: this.#listeners,
    });
  }

  /** Serves until it is stopped. Resolves to the exit code. @throws StartupError */
  async run(): Promise<number> {
    const { loaded, reports, events, inherited } = this.#options;
    const { config } = loaded;
    /** Called at the end, the last first. */
    const cleanups = [handleSignals(this)];
    try {
      if (process.pid === 1) cleanups.push(reapOrphans());
      cleanups.push(reportToSystemd(reports, this.#systemd));
      const resources = await this.#open(cleanups);
      warnAboutRoot(config.processes, events);
      const { generation } = inherited ?? { generation: 0 };
      const context = strategyContext(loaded, resources);
      const size = inherited?.pool && keptSize(inherited.pool, config.pool);
      const parts = { ...context, hosting: { ...context.hosting, size } };
      const strategy =
        context.routes.length > 0
          ? new Routed(parts, generation + 1)
          : new ModelSwitch(parts.group, parts.hosting, generation + 1);
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
      await (this.#hasTakenOver ? this.#operators.close() : this.#operators.abandon());
      this.#pidFile?.remove();
      for (const cleanup of cleanups.reverse()) cleanup();
    }
  }

  /** Opens the server's resources, or takes those that it has inherited. @throws StartupError */
  async #open(cleanups: (() => void)[]): Promise<ServerResources> {
    const { loaded, reports, events, accessLog, inherited } = this.#options;
    const { config, sources } = loaded;
    const { admin, pidFile, watch } = config.server;
    if (inherited) this.#listeners.push(...inherited.listeners.map(listener));
    else {
      if (pidFile !== undefined) this.#pidFile = PidFile.write(pidFile, origin(sources.pidFile));
      this.#listeners.push(...(await listenersFor(loaded, this.#systemd)));
    }
    await this.#operators.openControl();
    this.#urls = this.#listeners.map(({ url }) => url);
    awaitHeads(
      config.sessions.sticky,
      this.#listeners.map(({ fd }) => fd),
    );
    if (watch.length > 0) {
      const reload = (reason: string) => this.#controls.perform('reload', {}, reason);
      await reloadOnChange(loaded, reload, events, this.#stopping.signal);
    }
    const migrationChannel = inherited?.migrationChannel ?? openChannelOrWarn(config.lifecycle, events);
    const memory = this.#memory;
    cleanups.push(() => migrationChannel && closeMigrationChannel(migrationChannel));
    cleanups.push(() => memory.close());
    cleanups.push(() => this.#cacheMemory.close());
    cleanups.push(() => this.#operators.endMonitoring());
    const slots = new SlotRanges((start, bytes) => memory.clear('places', start, bytes));
    if (admin !== undefined) await this.#operators.openAdmin(admin, memory, this.#cacheMemory, slots);
    const common = {
      listeners: this.#listeners,
      addresses: this.#listeners.map(({ address }) => address),
      queues: new Queues(this.#listeners.flatMap(({ queues }) => queues)),
      accessLog,
      quarantine: this.#quarantine,
      reports,
      health: this.#health,
      counters: this.#operators.counters,
      events,
      migrationChannel,
      memory,
      cacheMemory: this.#cacheMemory,
      slots,
      secondary: this.#secondary,
      accepted: { count: 0 },
    };
    const routes = await openRoutes(loaded, common);
    cleanups.push(() => routes.close());
    for (const { match } of loaded.routes) this.#operators.monitorRoute(match, routes.get(match));
    return { ...common, routes };
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
    this.#controls.close(successor ? 'an upgrade replaces the server' : 'the server is stopping');
    this.#health.watch(undefined);
    this.#stopping.abort();
    const drained = this.#drain(strategy, stop);
    // Closed before the drain ends: new clients are refused instead of queued, and another server can use the port.
    this.#closeListeners(successor !== undefined || !this.#hasTakenOver);
    const abandoned = successor && this.#operators.abandon();
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
    this.#operators.logged(line);
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

  attempt(action: Exclude<Action, 'stop'>, signal: string, request?: Request): void {
    this.#controls.attempt(action, signal, request);
  }

  status(): Status {
    return this.#controls.status();
  }

  get #settings(): Settings {
    return this.#operations?.settings ?? this.#options.loaded;
  }

  /** By an operator, who waits for the end. @throws Refused */
  async #stopAsTold(reason: string, isNow: boolean, onProgress: (message: string) => void): Promise<void> {
    if (this.#successor) throw new Refused(`process ${this.#successor.pid} has replaced this server; try again`);
    this.stop(reason, isNow);
    onProgress(isNow ? 'stopping' : 'stopping: waiting for requests in flight');
    if (isNow) this.#strategy?.kill();
    await this.#ended.promise;
  }

  /** The first workers are ready: announces the server, and accepts actions. */
  #serve(strategy: ServerStrategy, resources: ServerResources, context: StrategyContext): void {
    if (this.#state === 'stopping') return; // a stop was requested meanwhile
    const { loaded, load, logs, accessLog, reports, events, inherited } = this.#options;
    const { model, workers, threads } = loaded.config.pool;
    const logFiles = new LogFiles({
      logs,
      accessLog,
      workers: () => strategy.snapshot().workers,
      owner: () => this.#operations?.owner ?? context.owner,
    });
    this.#state = 'serving';
    this.#operations = new Operations({
      strategy,
      loaded,
      load,
      resources,
      context,
      logFiles,
      overrides: inherited?.operator ?? {},
      startSuccessor: (overrides) => this.#upgrade(resources, overrides),
      handOff: (successor) => {
        this.#successor = successor;
        this.#stop.resolve({ reason: `upgraded to process ${successor.pid}`, isQuick: false, successor });
      },
    });
    const operations = this.#operations;
    watchLimits({
      settings: () => this.#settings,
      follow: (machine, reason) => operations.follow(machine, reason),
      events,
      signal: this.#stopping.signal,
    });
    this.#health.watch(strategy);
    const rotate = () =>
      void rotateLogs({
        files: logFiles,
        logging: this.#settings.config.logging,
        events,
        isPaused: () => operations.state.doing === 'upgrade',
        signal: this.#stopping.signal,
      });
    // The old server's workers write to the files until it has ended.
    if (inherited) this.#replacePredecessor(strategy, rotate);
    else rotate();
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
  #replacePredecessor(strategy: Strategy, onEnded: () => void): void {
    const { config, sources } = this.#options.loaded;
    const { pidFile } = config.server;
    if (pidFile !== undefined) this.#pidFile = PidFile.takeOver(pidFile, origin(sources.pidFile));
    this.#operators.takeOver();
    strategy.open(); // when nothing else can fail: the old server cannot have a connection back
    this.#hasTakenOver = true;
    reportReady(() => {
      strategy.setMigration({ receives: false });
      this.#operators.predecessorEnded();
      onEnded();
    });
  }

  /** @throws StartupError, Refused */
  async #upgrade({ listeners, migrationChannel }: ServerResources, operator: Overrides): Promise<Successor> {
    const { config } = this.#settings;
    const { model, workers } = config.pool;
    const { generation, size } = this.#strategy?.snapshot() ?? { generation: 0, size: 0 };
    const state: InheritedState = {
      ...this.#operators.inheritable,
      listeners,
      migrationChannel,
      secondary: this.#secondary.inheritable,
      operator,
      pool: { model, workers, size },
      generation,
    };
    const { endsWithProgram } = this.#options;
    return upgrade({ state, config, systemd: this.#systemd, endsWithProgram, signal: this.#stopping.signal });
  }
}

/** An attacker who exploits the app would be root. */
function warnAboutRoot({ user }: Config['processes'], events: Events): void {
  if (process.getuid?.() !== 0 || (user !== undefined && user !== 'root' && user !== '0')) return;
  events.tell({ event: 'warning', warning: 'the app runs as root; name another user with --user' });
}
