// The actions that operators request with a signal or `mpserve ctl`, except stop. The server performs one at a time. An
// action that was refused or has failed has changed nothing.
import { isDeepStrictEqual } from 'node:util';
import { now } from '../clock.js';
import type { Machine } from '../config/constraints.js';
import { oneOf } from '../config/kind.js';
import type { Loaded, Overrides } from '../config/load.js';
import { origin } from '../config/source.js';
import type { Action, Outcome, Status } from '../control/protocol.js';
import { Refused } from '../control/refused.js';
import { ExitCode, StartupError } from '../errors.js';
import type { CanaryFigures, Events } from '../events.js';
import { withUnit } from '../reports/report.js';
import type { Reports } from '../reports/reports.js';
import { models } from '../strategies/models.js';
import type { ServerStrategy } from '../strategies/server-strategy.js';
import type { Trial } from '../strategies/trial.js';
import {
  applyBalance,
  applyReload,
  applySwitch,
  applyWorkers,
  placingSettings,
  type Settings,
  switchSettings,
} from './changes.js';
import { type StrategyContext, strategyContext } from './context.js';
import type { LogFiles } from './log-files.js';
import { keptSize } from './pool-size.js';
import { Probation, type StartedWorker } from './probation.js';
import type { ServerResources } from './resources.js';
import type { Successor } from './successor.js';

export interface OperationsOptions {
  readonly strategy: ServerStrategy;
  readonly loaded: Settings;
  readonly resources: ServerResources;
  /** Of the workers with these settings. */
  readonly context: StrategyContext;
  /** Settings that operators have changed in the predecessors of this server. */
  readonly overrides: Overrides;
  /** @throws StartupError, Refused */
  readonly startSuccessor: (overrides: Overrides) => Promise<Successor>;
  /** Stops this server; its connections migrate to the successor. */
  readonly handOff: (successor: Successor) => void;
  readonly logFiles: LogFiles;
  /** Reads the configuration again; `overrides` take precedence. @throws StartupError */
  readonly load: (overrides: Overrides) => Promise<Loaded>;
}

/** New workers that are tried. */
interface Tried {
  readonly settings: Settings;
  /** --canary compares their responses with those of the others. */
  readonly compares?: boolean;
  /** They are added to the others, and replace none. */
  readonly isSameGeneration?: boolean;
  readonly onProgress: (message: string) => void;
}

const maxWorkerProcesses = 1024;

export class Operations {
  readonly #options: OperationsOptions;
  readonly #reports: Reports;
  readonly #events: Events;
  #settings: Settings;
  /** Of the start, or of the last reload. */
  #context: StrategyContext;
  /** Settings that operators have changed; they take precedence over the configuration. */
  #overrides: Overrides;
  #state: Pick<Status, 'doing' | 'last'> = {};
  #isClosed = false;
  /** What the action in progress has started was ended again. */
  #isRolledBack = false;

  constructor(options: OperationsOptions) {
    this.#options = options;
    this.#reports = options.resources.reports;
    this.#events = options.resources.events;
    this.#settings = options.loaded;
    this.#context = options.context;
    this.#overrides = options.overrides;
  }

  /** The user and group of the workers. */
  get owner(): StrategyContext['owner'] {
    return this.#context.owner;
  }

  get settings(): Settings {
    return this.#settings;
  }

  /** The action in progress, and the last one with its outcome. */
  get state(): Pick<Status, 'doing' | 'last'> {
    return this.#state;
  }

  /** Refuses every action from now on, because the server is stopping. */
  close(): void {
    this.#isClosed = true;
  }

  /** Replaces all workers with workers of the current configuration and app. @param reason the signal or command */
  reload(reason: string, onProgress: (message: string) => void): Promise<string> {
    return this.#exclusive('reload', async () => {
      const { strategy, resources } = this.#options;
      const { quarantine } = resources;
      const began = now();
      this.#reports.publish({ kind: 'reloading', reason });
      const loaded = await this.#load(this.#overrides);
      for (const warning of loaded.warnings) this.#events.tell({ event: 'warning', warning });
      const { ignored, ...next } = applyReload(this.#settings, loaded);
      const { lifecycle } = next.config;
      for (const key of ignored) {
        const warning = `${key} has changed (${origin(loaded.sources[key])}); restart the server to apply it`;
        this.#events.tell({ event: 'warning', warning });
      }
      const context = strategyContext(next, resources);
      const replaced = (done: number, all: number) => onProgress(`${done} of ${all} workers replaced`);
      // The workers of the old generation count their responses only if --canary was on before.
      const compares = lifecycle.canary > 0 && this.#settings.config.lifecycle.canary > 0;
      await this.#tried({ settings: next, compares, onProgress }, (trial) =>
        strategy.replaceParts(context, replaced, trial),
      );
      if (this.#isClosed) throw new Refused('the server is stopping');
      this.#settings = next;
      this.#context = context;
      quarantine.limits = lifecycle;
      quarantine.clear(); // the new version may have fixed what killed workers
      const { generation, size } = strategy.snapshot();
      const ms = Math.round(now() - began);
      this.#reports.publish({ kind: 'reloaded', generation, workers: size, ms });
      return `generation ${generation} is serving; the reload took ${ms} ms`;
    });
  }

  /** Starts the installed version as the successor, which replaces this server. */
  upgrade(reason: string, onProgress: (message: string) => void): Promise<string> {
    return this.#exclusive('upgrade', async () => {
      const began = now();
      onProgress('starting the new server');
      const successor = await this.#options.startSuccessor(this.#overrides).catch((error) => {
        this.#isRolledBack = true;
        throw error;
      });
      const { pid, version } = successor;
      const ms = Math.round(now() - began);
      this.#reports.publish({ kind: 'upgraded', pid, version, ms, reason });
      this.#options.handOff(successor);
      return `process ${pid} is serving (Node ${version}); the upgrade took ${ms} ms`;
    });
  }

  /**
   * Switches to another model, or to other settings of the same model: a new strategy starts beside the old one, and
   * the connections migrate to it.
   * @param options raw values by key; other settings do not change
   */
  switch(options: Overrides, reason: string, onProgress: (message: string) => void): Promise<string> {
    return this.#exclusive('switch', async () => {
      const { strategy, resources } = this.#options;
      const keys = Object.keys(options);
      const unknown = keys.find((key) => !switchSettings.includes(key));
      if (unknown !== undefined) throw new Refused(`cannot switch '${unknown}'; use ${oneOf(switchSettings, 'and')}`);
      if (this.#settings.routes.length > 0)
        throw new Refused(
          'each route has settings of its own; change them in the configuration, and use mpserve ctl upgrade',
        );
      if (keys.length === 0) throw new Refused('no settings to switch; use for example --model prethread');
      const began = now();
      // Settings for the old model do not apply to another one.
      const overrides = options.model === undefined ? { ...this.#overrides, ...options } : options;
      const loaded = await this.#loadGiven(overrides);
      const next = applySwitch(this.#settings, loaded);
      const { model, threads } = next.config.pool;
      const { config } = this.#settings;
      const from = config.pool.model;
      const units = {
        ...(config.pool.unit === 'request' && { fromUnit: config.pool.unit }),
        ...(next.config.pool.unit === 'request' && { unit: next.config.pool.unit }),
      };
      const name = withUnit(model, units.unit);
      const { size: before } = strategy.snapshot();
      // A number that is given wins.
      const kept =
        options.workers === undefined ? keptSize({ ...config.pool, size: before }, next.config.pool) : undefined;
      const size = kept ?? next.config.pool.workers;
      if (isDeepStrictEqual(next.config, config) && size === before)
        return `already running ${name} with these settings`;
      for (const warning of loaded.warnings) this.#events.tell({ event: 'warning', warning });
      onProgress(`starting ${name} beside ${withUnit(from, units.fromUnit)}`);
      const { group, hosting } = strategyContext(next, resources, this.#context.release);
      const { settled } = await this.#tried({ settings: next, onProgress }, (trial) =>
        strategy.replace(group, { ...hosting, size }, config.lifecycle.gracefulTimeout, trial),
      );
      if (this.#isClosed) throw new Refused('the server is stopping');
      this.#overrides = overrides;
      this.#settings = next;
      const { size: workers } = strategy.snapshot();
      const ms = Math.round(now() - began);
      this.#reports.publish({ kind: 'switched', from, model, ...units, workers, threads, ms, reason });
      onProgress(`${name} is serving; connections migrate to it`);
      await settled;
      return `${name} is serving with ${workers} worker(s) and ${threads} thread(s) each; the switch took ${ms} ms`;
    });
  }

  /** @param change `3`, `+2` or `-1` workers */
  scale(change: string, reason: string, onProgress: (message: string) => void): Promise<string> {
    return this.#exclusive('scale', async () => {
      const { strategy } = this.#options;
      const { model, minWorkers, maxWorkers } = this.#settings.config.pool;
      if (!models[model]?.workers) throw new Refused(`the number of workers is fixed in the model ${model}`);
      if (!/^[+-]?\d{1,6}$/.test(change)) throw new Refused(`invalid number of workers '${change}'; use 4, +1 or -1`);
      const from = strategy.snapshot().size;
      const to = /^[+-]/.test(change) ? from + Number(change) : Number(change);
      // With auto-scaling, its limits apply.
      const [min, max] = minWorkers < maxWorkers ? [minWorkers, maxWorkers] : [1, maxWorkerProcesses];
      if (to < min || to > max) {
        throw new Refused(`${to} workers are out of range; use ${min} to ${max} (now ${from})`);
      }
      if (to === from) return `already running ${to} workers`;
      await this.#tried({ settings: this.#settings, isSameGeneration: true, onProgress }, (trial) =>
        strategy.resize(to, trial),
      );
      this.#reports.publish({ kind: 'scaled', unit: 'workers', from, to, reason });
      return `changed from ${from} to ${to} workers`;
    });
  }

  /**
   * Has as many workers as `auto` is on this machine. A number that an operator has set since the start stays, and so does a
   * drain. @param reason for the log
   */
  follow(machine: Machine, reason: string): Promise<string> {
    return this.#exclusive('scale', async () => {
      const { strategy } = this.#options;
      const [settings, context] = [this.#settings, this.#context];
      const next = applyWorkers(settings, machine);
      const { workers, minWorkers, maxWorkers } = next.config.pool;
      const { size: from } = strategy.snapshot();
      const isSet = from !== settings.config.pool.workers;
      const to = minWorkers < maxWorkers ? Math.min(maxWorkers, Math.max(minWorkers, from)) : isSet ? from : workers;
      this.#followSettings(next);
      if (from === 0 || to === from) return `${from} workers`;
      try {
        await this.#tried({ settings: next, isSameGeneration: true, onProgress: () => {} }, (trial) =>
          strategy.resize(to, trial),
        );
      } catch (error) {
        this.#followSettings(settings, context);
        throw error;
      }
      this.#reports.publish({ kind: 'scaled', unit: 'workers', from, to, reason });
      return `changed from ${from} to ${to} workers`;
    });
  }

  /**
   * Places connections by another policy, with the same workers.
   * @param options raw values of `balance` and `weights`
   */
  balance(options: Overrides, reason: string): Promise<string> {
    return this.#exclusive('balance', async () => {
      const { pool, placing } = this.#settings.config;
      if (!models[pool.model]?.balances)
        throw new Refused(`the model ${pool.model} starts a worker for each connection, so there is nothing to choose`);
      const unknown = Object.keys(options).find((key) => !placingSettings.includes(key));
      if (unknown !== undefined)
        throw new Refused(`cannot balance by '${unknown}'; use ${oneOf(placingSettings, 'and')}`);
      if (options.balance === undefined) throw new Refused('no policy; use for example least-connections');
      const overrides = { ...this.#overrides, ...options };
      const next = applyBalance(this.#settings, await this.#loadGiven(overrides));
      // Not that of the configuration, which may name another one by now: that needs a restart.
      if (pool.unit === 'request')
        throw new Refused('with --unit request the thread that has been free for longest gets the next request');
      if (!models[pool.model]?.balances?.(pool.accept))
        throw new Refused('the server runs without --accept dispatch, so each worker accepts by itself');
      this.#followSettings(next);
      this.#overrides = overrides;
      const from = placing.balance;
      const to = next.config.placing.balance;
      this.#events.tell({ event: 'balance-changed', from, to, reason });
      return `connections are placed by ${to}`;
    });
  }

  /** Drains all workers. New connections wait in the kernel until `reload` or `scale` starts workers. */
  drain(reason: string): Promise<string> {
    return this.#exclusive('drain', async () => {
      await this.#options.strategy.resize(0);
      this.#reports.publish({ kind: 'drained', reason });
      return 'drained; new connections wait until a reload or scale starts workers';
    });
  }

  /** Accepts the quarantined requests again. */
  clearQuarantine(reason: string): Promise<string> {
    return this.#exclusive('release', async () => {
      const count = this.#options.resources.quarantine.clear();
      this.#events.tell({ event: 'quarantine-cleared', count, reason });
      return count > 0 ? `cleared ${count} request(s)` : 'nothing to clear: no request is suspected of killing workers';
    });
  }

  /** Opens the log files again by their names, after a log rotation has renamed them. */
  reopen(reason: string): Promise<string> {
    return this.#exclusive('reopen', async () => {
      const { logFiles } = this.#options;
      const files = logFiles.paths;
      if (files.length === 0) throw new Refused('no log file to reopen; use --log-file or --access-log');
      await logFiles.reopen();
      this.#events.tell({ event: 'logs-reopened', reason, files });
      return `reopened ${files.join(' and ')}`;
    });
  }

  /** @throws StartupError, Refused when the server is stopping by then */
  async #load(overrides: Overrides): Promise<Loaded> {
    const loaded = await this.#options.load(overrides);
    if (this.#isClosed) throw new Refused('the server is stopping');
    return loaded;
  }

  /** With settings that an operator gives now. @throws StartupError, Refused if they are wrong, or do not go with the others */
  async #loadGiven(overrides: Overrides): Promise<Loaded> {
    try {
      return await this.#load(overrides);
    } catch (error) {
      const isWrong = error instanceof StartupError && error.exitCode === ExitCode.config;
      throw isWrong ? new Refused(error.message) : error;
    }
  }

  /** The workers that there are stay; those that are started from now on have these settings. */
  #followSettings(
    settings: Settings,
    context = strategyContext(settings, this.#options.resources, this.#context.release),
  ): void {
    this.#options.strategy.use?.(context.hosting);
    this.#settings = settings;
    this.#context = context;
  }

  /** Changes workers, with a trial of the new ones. @throws what the trial throws, or the change */
  async #tried<T>(
    { settings, compares = false, isSameGeneration = false, onProgress }: Tried,
    change: (trial: Trial | undefined) => Promise<T>,
  ): Promise<T> {
    const { strategy, resources } = this.#options;
    const { config } = settings;
    const { reports, events } = resources;
    const before = strategy.snapshot();
    const isTried = ({ generation, route }: StartedWorker): boolean => {
      const part = route === undefined ? before : before.routes?.find(({ match }) => match === route);
      return generation === (part?.generation ?? 0) + (isSameGeneration ? 0 : 1);
    };
    const onCompared = compares
      ? (figures: CanaryFigures) => events.tell({ event: 'canary-passed', ...figures })
      : undefined;
    const probation =
      config.lifecycle.probation > 0 || compares
        ? new Probation({ reports, config, isTried, strategy, onProgress, onCompared })
        : undefined;
    try {
      return await change(probation);
    } catch (error) {
      this.#isRolledBack = true;
      resources.quarantine.clear(); // what killed the new workers is not what kills the old ones
      throw withAppSource(error, settings);
    } finally {
      probation?.stop();
    }
  }

  /** Runs `work` if no other action is in progress. @throws Refused, or the error of `work` */
  async #exclusive(action: Action, work: () => Promise<string>): Promise<string> {
    if (this.#isClosed) throw new Refused('the server is stopping');
    const { doing } = this.#state;
    if (doing) throw new Refused(`the action ${doing} is in progress; try again when it is done`);
    this.#state = { ...this.#state, doing: action };
    this.#isRolledBack = false;
    const finish = (outcome: Outcome): void => {
      this.#state = { last: { action, at: new Date().toISOString(), outcome } };
    };
    try {
      const message = await work();
      finish({ ok: true, message });
      return message;
    } catch (failure) {
      // Workers on trial that a stop has ended have not failed.
      const isCutShort = this.#isClosed && !(failure instanceof Refused);
      const error = isCutShort ? new Error('the server is stopping') : failure;
      const { message: reason } = error as Error;
      finish({ ok: false, error: reason });
      const isRolledBack = this.#isRolledBack;
      if (!isCutShort && !(error instanceof Refused))
        this.#reports.publish({ kind: 'operation-failed', action, reason, isRolledBack });
      throw error;
    } finally {
      const { strategy, resources } = this.#options;
      resources.secondary.keepOnly(strategy.snapshot().generation);
    }
  }
}

/** Adds the configured name of the app and its source to the message: the worker that loads the app knows neither. */
export function withAppSource(error: unknown, { config: { loading }, sources }: Settings): unknown {
  const isAppError = error instanceof StartupError && error.exitCode === ExitCode.app && loading.app !== undefined;
  if (isAppError) error.message += ` [app ${loading.app} ${origin(sources.app)}]`;
  return error;
}
