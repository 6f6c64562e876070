// What an operator can have done to a server while it serves: reload, scale, drain, reopen. One at a time; what was
// refused or has failed has changed nothing, or says what.

import { fchownSync, fstatSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { now } from '../clock.js';
import type { Config } from '../config/config.js';
import { oneOf } from '../config/kind.js';
import type { Loaded, Overrides, Sources } from '../config/load.js';
import { origin } from '../config/source.js';
import type { Action, Outcome, Status } from '../control/protocol.js';
import { Refused } from '../control/refused.js';
import { ExitCode, StartupError } from '../errors.js';
import type { Events } from '../events.js';
import { type Destination, reopenLog } from '../log/destination.js';
import type { ModelSwitch } from '../strategies/model-switch.js';
import { models } from '../strategies/models.js';
import type { ProcessOptions } from '../worker/process-runtime.js';
import { reopenAll } from '../worker/worker.js';
import { Canary } from './canary.js';
import { type Premises, releaseNow, reloaded, strategyContext, switchable, switched } from './context.js';
import type { Heir } from './heritage.js';

export interface OperationsOptions {
  readonly strategy: ModelSwitch;
  readonly loaded: Pick<Loaded, 'config' | 'sources'>;
  readonly premises: Premises;
  readonly owner: ProcessOptions['owner'];
  /** The app, at the place that its links stood for. */
  readonly release: string | undefined;
  /** What an operator has told the server whose heir this one is. */
  readonly operator: Overrides;
  /** Has the server that is installed now take our place. @throws StartupError, Refused */
  readonly bequeath: (operator: Overrides) => Promise<Heir>;
  /** Ends this server in favour of that one. */
  readonly leaveTo: (heir: Heir) => void;
  /** The files among the logs. */
  readonly logs: readonly Destination[];
  /** Reads the configuration anew, with what an operator has told since the start. @throws StartupError */
  readonly load: (operator: Overrides) => Promise<Loaded>;
}

/** The most worker processes that can be asked for. */
const most = 1024;

export class Operations {
  readonly #options: OperationsOptions;
  #config: Config;
  #sources: Sources;
  /** Who the workers are. */
  #owner: ProcessOptions['owner'];
  #release: string | undefined;
  /** What an operator has told since the start, in place of what is configured. */
  #overrides: Overrides;
  #doing: Action | undefined;
  #last: Status['last'];
  #isClosed = false;

  constructor(options: OperationsOptions) {
    this.#options = options;
    this.#config = options.loaded.config;
    this.#sources = options.loaded.sources;
    this.#owner = options.owner;
    this.#release = options.release;
    this.#overrides = options.operator;
  }

  get config(): Pick<Loaded, 'config' | 'sources'> {
    return { config: this.#config, sources: this.#sources };
  }

  get #events(): Events {
    return this.#options.premises.events;
  }

  get doing(): Action | undefined {
    return this.#doing;
  }

  get last(): Status['last'] {
    return this.#last;
  }

  /** The server is about to end: nothing new is begun. */
  close(): void {
    this.#isClosed = true;
  }

  /** A new generation serves the configuration and the app as they are now. @param reason who wanted it */
  reload(reason: string, onProgress: (words: string) => void): Promise<string> {
    return this.#alone('reload', async () => {
      const { strategy, premises, load } = this.#options;
      const { quarantine, events } = premises;
      const began = now();
      events.tell({ event: 'reloading', reason });
      const loaded = await load(this.#overrides);
      for (const warning of loaded.warnings) events.tell({ event: 'warning', warning });
      const { config, sources, refused } = reloaded(this.config, loaded);
      for (const key of refused) {
        const warning = `${key} has changed (${origin(loaded.sources[key as keyof Config])}), which takes effect at the next start only`;
        events.tell({ event: 'warning', warning });
      }
      const release = releaseNow(config);
      const context = strategyContext({ config, sources }, premises, release);
      const replaced = (done: number, all: number) => onProgress(`${done} of ${all} workers replaced`);
      // Those of the old generation must tell what their answers are like, too.
      const isTried = config.canary > 0 && this.#config.canary > 0;
      const canary = isTried && new Canary(events, config.canary, strategy.snapshot().generation + 1);
      const trial = canary
        ? async () => events.tell({ event: 'canary-passed', ...(await canary.judge(onProgress)) })
        : undefined;
      try {
        await strategy.replaceAll(context.hosting, replaced, trial);
      } catch (error) {
        throw blamed(error, { config, sources });
      } finally {
        if (canary) canary.stop();
      }
      if (this.#isClosed) throw new Refused('the server is stopping');
      this.#config = config;
      this.#sources = sources;
      this.#release = release;
      this.#owner = context.owner;
      quarantine.after = config.quarantineAfter;
      quarantine.hangMs = config.hangTimeout;
      quarantine.clear(); // what killed the old generation may be mended in the new one
      const { generation, size } = strategy.snapshot();
      const ms = Math.round(now() - began);
      events.tell({ event: 'reloaded', generation, workers: size, ms });
      return `generation ${generation} serves, after ${ms} ms`;
    });
  }

  /** The server that is installed now serves in the place of this one, which ends when its connections have gone. */
  upgrade(reason: string, onProgress: (words: string) => void): Promise<string> {
    return this.#alone('upgrade', async () => {
      const began = now();
      onProgress('the new server starts');
      const heir = await this.#options.bequeath(this.#overrides);
      const { pid, version } = heir;
      const ms = Math.round(now() - began);
      this.#events.tell({ event: 'upgraded', pid, version, ms, reason });
      this.#options.leaveTo(heir);
      return `process ${pid} serves (Node ${version}), after ${ms} ms`;
    });
  }

  /**
   * Another model serves, or the same one in another way: a new strategy starts beside the old one, and takes over its
   * connections. What is not named stays as it is.
   * @param options raw values by the keys of their options
   */
  switch(options: Overrides, reason: string, onProgress: (words: string) => void): Promise<string> {
    return this.#alone('switch', async () => {
      const { strategy, premises, load } = this.#options;
      const keys = Object.keys(options);
      const foreign = keys.find((key) => !(switchable as readonly string[]).includes(key));
      if (foreign !== undefined) throw new Refused(`'${foreign}' cannot be switched; ${oneOf(switchable, 'and')} can`);
      if (keys.length === 0) throw new Refused('say what to switch to, such as --model prethread');
      const began = now();
      // What was told for one model says nothing about another.
      const overrides = options.model === undefined ? { ...this.#overrides, ...options } : options;
      const next = switched(this.config, await load(overrides));
      const { model, workers, threads } = next.config;
      const from = this.#config.model;
      if (isDeepStrictEqual(next.config, this.#config)) return `${model} serves so already`;
      onProgress(`${model} starts beside ${from}`);
      const context = strategyContext(next, premises, this.#release);
      const { group, hosting } = context;
      const { settled } = await strategy.replace(group, hosting, this.#config.gracefulTimeout).catch((error) => {
        throw blamed(error, next);
      });
      if (this.#isClosed) throw new Refused('the server is stopping');
      this.#overrides = overrides;
      this.#config = next.config;
      this.#sources = next.sources;
      const ms = Math.round(now() - began);
      this.#events.tell({ event: 'switched', from, model, workers, threads, ms, reason });
      onProgress(`${model} serves; connections go over to it`);
      await settled;
      return `${model} serves with ${workers} worker(s) and ${threads} thread(s) each, after ${ms} ms`;
    });
  }

  /** @param change `3`, `+2` or `-1` */
  scale(change: string, reason: string): Promise<string> {
    return this.#alone('scale', async () => {
      const { strategy } = this.#options;
      const { model } = this.#config;
      if (!models[model]?.workers) throw new Refused(`the model ${model} has no number of workers to change`);
      if (!/^[+-]?\d{1,6}$/.test(change)) throw new Refused(`'${change}' is no number of workers; say 4, +1 or -1`);
      const from = strategy.snapshot().size;
      const to = /^[+-]/.test(change) ? from + Number(change) : Number(change);
      const { minWorkers, maxWorkers } = this.#config;
      // Where the load decides, nobody else goes beyond what it may.
      const [low, high] = minWorkers < maxWorkers ? [minWorkers, maxWorkers] : [1, most];
      if (to < low || to > high) {
        throw new Refused(`${to} workers are out of range, ${low} to ${high}; there are ${from}`);
      }
      if (to === from) return `there are ${to} workers already`;
      await strategy.resize(to);
      this.#events.tell({ event: 'scaled', unit: 'workers', from, to, reason });
      return `${to} workers, instead of ${from}`;
    });
  }

  /** Nobody is served any more, until a reload or `scale`; clients wait in the kernel. */
  drain(reason: string): Promise<string> {
    return this.#alone('drain', async () => {
      await this.#options.strategy.resize(0);
      this.#events.tell({ event: 'drained', reason });
      return 'no worker takes connections any more; they wait until there is a reload';
    });
  }

  /** Requests that are refused, as they have ended workers, are let through again. */
  release(reason: string): Promise<string> {
    return this.#alone('release', async () => {
      const count = this.#options.premises.quarantine.clear();
      this.#events.tell({ event: 'quarantine-cleared', count, reason });
      return `${count} request(s) let through again`;
    });
  }

  /** Log files that were renamed are left, and those of the old names begun. */
  reopen(reason: string): Promise<string> {
    return this.#alone('reopen', async () => {
      const { strategy, logs, premises } = this.#options;
      const { accessLog } = premises;
      const files = logs.flatMap(({ path }) => path ?? []);
      if (files.length === 0) throw new Refused('no log goes to a file (--log-file, --access-log)');
      for (const log of logs) reopenLog(log, this.#owner.uid !== undefined || this.#owner.gid !== undefined);
      // Workers write their access lines by themselves.
      if (typeof accessLog === 'object' && accessLog.path !== undefined) {
        const { uid, gid } = this.#owner;
        if (uid !== undefined || gid !== undefined) handOver(accessLog.fd, uid, gid);
        await reopenAll(strategy.snapshot().workers, accessLog.path);
      }
      this.#events.tell({ event: 'logs-reopened', reason, files });
      return `opened ${files.join(' and ')} anew`;
    });
  }

  /** Does `work` while nothing else is done. @throws Refused, or what the work has thrown */
  async #alone(action: Action, work: () => Promise<string>): Promise<string> {
    if (this.#isClosed) throw new Refused('the server is stopping');
    if (this.#doing) throw new Refused(`a ${this.#doing} is under way; try again when it has ended`);
    this.#doing = action;
    const end = (outcome: Outcome): void => {
      this.#doing = undefined;
      this.#last = { action, at: new Date().toISOString(), outcome };
    };
    try {
      const message = await work();
      end({ ok: true, message });
      return message;
    } catch (error) {
      const { message: reason } = error as Error;
      end({ ok: false, error: reason });
      if (!(error instanceof Refused)) this.#events.tell({ event: 'operation-failed', action, reason });
      throw error;
    }
  }
}

/** Gives the file to the workers, who have to open it, too; only one that nobody else has put there. */
function handOver(fd: number, uid = -1, gid = -1): void {
  const stat = fstatSync(fd);
  if (!stat.isFile() || stat.nlink !== 1) throw new Refused('the access log is no file of its own, so it stays root’s');
  fchownSync(fd, uid, gid);
}

/** Whoever loads the app knows neither what the user called it nor where. */
export function blamed(error: unknown, { config, sources }: Pick<Loaded, 'config' | 'sources'>): unknown {
  const isApps = error instanceof StartupError && error.exitCode === ExitCode.app && config.app !== undefined;
  if (isApps) error.message += ` [app ${config.app} ${origin(sources.app)}]`;
  return error;
}
