// The parent process: opens the sockets, starts the strategy, does what operators ask, and ends all in order. It loads
// none of the user's code, and the only HTTP that it speaks is that of its control socket, so that nothing an app or a
// client does can reach it.
import { now } from '../clock.js';
import { type Config, isElastic } from '../config/config.js';
import type { Loaded, Overrides } from '../config/load.js';
import { origin } from '../config/source.js';
import type { Action, Request, Status, WorkerStatus } from '../control/protocol.js';
import { Refused } from '../control/refused.js';
import type { Controls } from '../control/server.js';
import type { Events } from '../events.js';
import { Quarantine, type Suspect } from '../inflight/quarantine.js';
import type { Destination } from '../log/destination.js';
import {
  closeMigrationChannel,
  hasMigration,
  type MigrationChannel,
  openMigrationChannel,
} from '../migration/channel.js';
import { unsupportedInternals } from '../os/node-socket.js';
import { hasProc, ownCpuSeconds, proportionalMemory } from '../os/process-tree.js';
import { takeSystemdEnv } from '../os/systemd.js';
import { ModelSwitch } from '../strategies/model-switch.js';
import type { Strategy } from '../strategies/strategy.js';
import type { ProcessOptions } from '../worker/process-runtime.js';
import { type Premises, type StrategyContext, strategyContext } from './context.js';
import type { ControlDoor } from './control-door.js';
import { announceHeir, bequeath, type Heir, type Heritage } from './heritage.js';
import { type Listener, listener, listenersFor } from './listener.js';
import { blamed, Operations } from './operations.js';
import { PidFile } from './pid-file.js';
import { reportToSystemd } from './service.js';
import { obeySignals, type SignalTarget } from './signals.js';

export interface SupervisorOptions {
  readonly loaded: Loaded;
  /** Reads the configuration anew, with what an operator has told since the start. @throws StartupError */
  readonly load: (operator: Overrides) => Promise<Loaded>;
  readonly accessLog: ProcessOptions['accessLog'];
  /** Those logs that are files. */
  readonly logs: readonly Destination[];
  readonly events: Events;
  /** What another server has left to this one, which takes its place. */
  readonly heritage: Heritage | undefined;
}

/** The exit code after a second Ctrl-C: as a shell tells a process that SIGINT has ended. */
const killedExit = 130;
/** For an heir to begin, besides what its workers may take (milliseconds). */
const heirMs = 10_000;
/** What is in flight has so long when the end is to be quick (milliseconds). */
const quickMs = 1000;

interface Stop {
  readonly reason: string;
  readonly isQuick: boolean;
  /** Who serves in our place. */
  readonly heir?: Heir;
}

export class Supervisor implements SignalTarget, Controls {
  readonly #options: SupervisorOptions;
  readonly #quarantine: Quarantine;
  readonly #began = now();
  readonly #stop: Promise<Stop>;
  /** Settles when all workers have ended. */
  readonly #ended: Promise<void>;
  /** What systemd has told this server, and not the app. */
  readonly #systemd: NodeJS.ProcessEnv;
  readonly #listeners: Listener[] = [];
  readonly #ending = new AbortController();
  /** Who serves in our place. */
  #heir: Heir | undefined;
  #pidFile: PidFile | undefined;
  #door: ControlDoor | undefined;
  /** Loaded where there is a control socket: an HTTP server takes 2 ms of a start. */
  #doors: typeof import('./control-door.js') | undefined;
  #requestStop = (_: Stop): void => {};
  #end = (): void => {};
  #state: Status['state'] = 'starting';
  #urls: readonly string[] = [];
  #strategy: ModelSwitch | undefined;
  #operations: Operations | undefined;
  #scaled: Status['scaled'];
  #killed = false;
  #tellSpawned = (): void => {};
  /** Settles when the first workers have been started, and load the app. */
  readonly spawned = new Promise<void>((resolve) => {
    this.#tellSpawned = resolve;
  });

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#systemd = takeSystemdEnv(process.env);
    this.#quarantine = new Quarantine(options.loaded.config, options.events);
    options.events.on('event', (event) => {
      if (event.event !== 'scaled' && event.event !== 'threads-scaled') return;
      const { from, to, reason } = event;
      const unit = event.event === 'scaled' ? 'workers' : 'threads';
      this.#scaled = { at: new Date().toISOString(), from, to, unit, reason };
    });
    this.#stop = new Promise((resolve) => {
      this.#requestStop = resolve;
    });
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Serves until told to stop. Resolves to the exit code. @throws StartupError */
  async run(): Promise<number> {
    const { loaded, events, heritage } = this.#options;
    const { config } = loaded;
    /** What is let go of at the end, the last first. */
    const release = [obeySignals(this)];
    try {
      release.push(reportToSystemd(events, this.#systemd));
      const premises = await this.#open(release);
      warnAboutRoot(config, events);
      const { generation } = heritage ?? { generation: 0 };
      const context = strategyContext(loaded, premises);
      const strategy = new ModelSwitch(context.group, context.hosting, generation + 1);
      this.#strategy = strategy;
      if (heritage) strategy.setMigration({ receives: true });
      const starting = strategy.start();
      this.#tellSpawned();
      const started = starting.then(
        () => this.#serve(strategy, premises, context),
        (error) => {
          throw blamed(error, loaded);
        },
      );
      const stop = await Promise.race([this.#stop, started.then(() => this.#stop)]);
      return await this.#finish(strategy, stop);
    } finally {
      for (const listener of this.#listeners) listener.close();
      this.#end();
      await this.#door?.close();
      this.#pidFile?.remove();
      for (const letGo of release.reverse()) letGo();
    }
  }

  /** Everything that it has until its end: its own, or what was left to it. */
  async #open(release: (() => void)[]): Promise<Premises> {
    const { loaded, events, accessLog, heritage } = this.#options;
    const { config, sources } = loaded;
    const { control } = config;
    if (control !== undefined || heritage?.control) this.#doors = await import('./control-door.js');
    if (heritage) this.#listeners.push(...heritage.listeners.map(listener));
    else {
      if (config.pidFile !== undefined) this.#pidFile = PidFile.write(config.pidFile, origin(sources.pidFile));
      this.#listeners.push(...(await listenersFor(loaded, this.#systemd)));
      if (control !== undefined) this.#door = await this.#doors?.openControl(control, origin(sources.control), this);
    }
    this.#urls = this.#listeners.map(({ url }) => url);
    const migrationChannel =
      heritage?.migrationChannel ?? (hasMigration ? channelOrWarning(config, events) : undefined);
    release.push(() => migrationChannel && closeMigrationChannel(migrationChannel));
    return { listeners: this.#listeners, accessLog, quarantine: this.#quarantine, events, migrationChannel };
  }

  /** Ends what serves, and gives to the heir what is its own. */
  async #finish(strategy: Strategy, { reason, isQuick, heir }: Stop): Promise<number> {
    const { events } = this.#options;
    this.#state = 'stopping';
    this.#operations?.close();
    this.#ending.abort();
    const { gracefulTimeout } = this.settings().config;
    const gracefulMs = isQuick ? Math.min(quickMs, gracefulTimeout) : gracefulTimeout;
    events.tell({ event: 'stopping', reason, gracefulMs });
    const drained = strategy.drain(gracefulMs, heir !== undefined);
    // At once, so that who comes now is refused instead of forgotten in a queue, and the next server can have the port.
    for (const listener of this.#listeners.splice(0)) heir ? listener.abandon() : listener.close();
    const left = heir && this.#door?.abandon();
    await drained;
    await left;
    const why = this.#killed ? `${reason}, then killed` : reason;
    events.tell({ event: 'stopped', reason: why, requests: strategy.snapshot().answered });
    return this.#killed ? killedExit : 0;
  }

  stop(reason: string, isQuick: boolean): void {
    this.#requestStop({ reason, isQuick });
  }

  kill(): void {
    if (!this.#strategy) process.exit(killedExit); // there is nothing yet to end
    this.#killed = true;
    this.#strategy.kill();
  }

  upgrade(reason: string): void {
    this.#attempt('upgrade', reason, (operations) => operations.upgrade(reason, () => {}));
  }

  reload(reason: string): void {
    this.#attempt('reload', reason, (operations) => operations.reload(reason, () => {}));
  }

  scale(by: number, reason: string): void {
    this.#attempt('scale', reason, (operations) => operations.scale(by < 0 ? String(by) : `+${by}`, reason));
  }

  drain(reason: string): void {
    this.#attempt('drain', reason, (operations) => operations.drain(reason));
  }

  reopen(reason: string): void {
    this.#attempt('reopen', reason, (operations) => operations.reopen(reason));
  }

  status(): Status {
    const { config } = this.settings();
    const { app, model, threads, minWorkers, maxWorkers, minThreads, maxThreads } = config;
    const { generation = 1, size: wanted = 0, workers = [], answered: requests = 0 } = this.#strategy?.snapshot() ?? {};
    const { doing, last } = this.#operations ?? {};
    return {
      state: this.#state === 'serving' && wanted === 0 ? 'drained' : this.#state,
      ...(doing && { doing }),
      pid: process.pid,
      uptimeMs: Math.round(now() - this.#began),
      app: app ?? 'the built-in demo app',
      model,
      urls: this.#urls,
      generation,
      workers: { wanted, ready: workers.filter(({ stage }) => stage === 'ready').length },
      threads,
      ...(isElastic(config) && { range: { workers: [minWorkers, maxWorkers], threads: [minThreads, maxThreads] } }),
      ...(this.#scaled && { scaled: this.#scaled }),
      requests,
      ...(last && { last }),
    };
  }

  workers(): readonly WorkerStatus[] {
    const { workers = [] } = this.#strategy?.snapshot() ?? {};
    return workers.map(({ id: worker, pid, generation, stage, answered: requests, readyMs, load }) => ({
      worker,
      pid,
      generation,
      stage,
      ...(readyMs !== undefined && { readyMs: Math.round(readyMs) }),
      requests,
      ...(load !== undefined && { load: Math.round(load * 1000) / 1000 }),
      ...(hasProc && { memoryBytes: proportionalMemory(pid), cpuSeconds: ownCpuSeconds(pid) }),
    }));
  }

  quarantined(): readonly Suspect[] {
    return this.#quarantine.list();
  }

  /** What holds now: since a reload it may be other than at the start. */
  settings(): Pick<Loaded, 'config' | 'sources'> {
    const { config, sources } = this.#operations?.config ?? this.#options.loaded;
    return { config, sources };
  }

  async act(action: Action, { workers = '', now = false, options = {} }: Request, onProgress: (words: string) => void) {
    const reason = `mpserve ctl ${action}`;
    if (action === 'stop') {
      if (this.#heir) throw new Refused(`process ${this.#heir.pid} serves in place of this one by now; ask again`);
      this.stop(now ? `${reason} --now` : reason, now);
      onProgress(now ? 'stopping' : 'stopping: what is in flight is finished');
      if (now) this.#strategy?.kill();
      await this.#ended;
      return 'stopped';
    }
    const operations = this.#operations;
    if (!operations) throw new Refused('the server is still starting');
    const work: { readonly [A in Exclude<Action, 'stop'>]: () => Promise<string> } = {
      reload: () => operations.reload(reason, onProgress),
      upgrade: () => operations.upgrade(reason, onProgress),
      scale: () => operations.scale(workers, reason),
      switch: () => operations.switch(options, reason, onProgress),
      drain: () => operations.drain(reason),
      reopen: () => operations.reopen(reason),
      release: () => operations.release(reason),
    };
    return work[action]();
  }

  /** It can serve. */
  #serve(strategy: ModelSwitch, premises: Premises, { owner, release }: StrategyContext): void {
    if (this.#state === 'stopping') return; // it was told to in the meantime
    const { loaded, load, logs, events, heritage } = this.#options;
    const { model, workers, threads } = loaded.config;
    this.#state = 'serving';
    this.#operations = new Operations({
      strategy,
      loaded,
      load,
      premises,
      owner,
      release,
      logs,
      operator: heritage?.operator ?? {},
      bequeath: (operator) => this.#bequeath(premises, operator),
      leaveTo: (heir) => {
        this.#heir = heir;
        this.#requestStop({ reason: `upgraded, process ${heir.pid} serves`, isQuick: false, heir });
      },
    });
    if (heritage) this.#takeOver(heritage, strategy);
    const [url = ''] = this.#urls;
    const bootMs = Math.round(process.uptime() * 1000); // since this process began
    events.tell({ event: 'ready', url, urls: this.#urls, model, workers, threads, pid: process.pid, bootMs });
    if (premises.migrationChannel && loaded.config.migrate) void stayUnlessExpected(strategy, events);
  }

  /** As the heir of another server: from now on its pid file and its control socket are ours. */
  #takeOver({ control }: Heritage, strategy: Strategy): void {
    const { config } = this.#options.loaded;
    if (config.pidFile !== undefined) this.#pidFile = PidFile.takeOver(config.pidFile);
    if (control) this.#door = this.#doors?.controlDoor(listener(control), this);
    announceHeir(() => strategy.setMigration({ receives: false }));
  }

  /** Has the server that is installed now take our place. @throws StartupError, Refused */
  async #bequeath({ listeners, migrationChannel }: Premises, operator: Overrides): Promise<Heir> {
    if (process.pid === 1) {
      throw new Refused('it is the first process of its container, which ends with it; replace the container instead');
    }
    const { bootTimeout } = this.settings().config;
    const generation = this.#strategy?.snapshot().generation ?? 0;
    const heritage: Heritage = { listeners, migrationChannel, control: this.#door?.listener, operator, generation };
    const env = { ...process.env, ...this.#systemd };
    return bequeath(heritage, env, 2 * bootTimeout + heirMs, this.#ending.signal);
  }

  /** For a signal, which gets no answer but a line in the log. */
  #attempt(action: Action, by: string, work: (operations: Operations) => Promise<string>): void {
    const refuse = (reason: string): void =>
      this.#options.events.tell({ event: 'operation-refused', action, by, reason });
    if (!this.#operations) refuse('the server is still starting');
    else {
      work(this.#operations).catch((error: Error) => {
        if (error instanceof Refused) refuse(error.message); // what has failed, it has told itself
      });
    }
  }
}

/** Without a place for its socket a server serves, and connections end when their worker does. */
function channelOrWarning({ migrate }: Config, events: Events): MigrationChannel | undefined {
  try {
    return openMigrationChannel();
  } catch (error) {
    const warning = `connection migration is off: its socket could not be made (${(error as Error).message})`;
    if (migrate) events.tell({ event: 'warning', warning });
    return undefined;
  }
}

/** What an app can do as root, so can whoever finds a hole in it. */
function warnAboutRoot({ user }: Config, events: Events): void {
  if (process.getuid?.() !== 0 || (user !== undefined && user !== 'root' && user !== '0')) return;
  events.tell({ event: 'warning', warning: 'the app runs as root; name another user with --user' });
}

/** Connections are carried over only where Node is as we know it: what that needs is tried on the Node that runs. */
async function stayUnlessExpected(strategy: Strategy, events: Events): Promise<void> {
  const reason = await unsupportedInternals();
  if (reason === undefined) return;
  strategy.setMigration({ send: 'off' });
  const warning = `connections are not carried over to new workers but closed, as this Node (${process.version}) is not as expected: ${reason}`;
  events.tell({ event: 'warning', warning });
}
