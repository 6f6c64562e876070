// The parent process: opens the sockets, starts the strategy, and ends both in order. It loads none of the user's
// code and speaks no HTTP, so that nothing an app does can reach it.
import path from 'node:path';
import type { Config, Limits } from '../config/config.js';
import type { Sources } from '../config/load.js';
import { origin } from '../config/source.js';
import type { Events } from '../events.js';
import type { SpawnOptions } from '../process/spawn.js';
import { createStrategy } from '../strategies/index.js';
import type { Strategy } from '../strategies/strategy.js';
import { type Listener, openListeners } from './listener.js';
import { obeySignals } from './signals.js';

export interface SupervisorOptions {
  readonly config: Config;
  /** Where each value of it came from. */
  readonly sources: Sources;
  readonly accessLog: SpawnOptions['accessLog'];
  readonly events: Events;
}

/** The exit code after a second Ctrl-C: as a shell tells a process that SIGINT has ended. */
const killedExit = 130;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #stop: Promise<string>;
  #requestStop = (_reason: string): void => {};
  #strategy: Strategy | undefined;
  #killed = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#stop = new Promise((resolve) => {
      this.#requestStop = resolve;
    });
  }

  /** Serves until told to stop. Resolves to the exit code. @throws StartupError */
  async run(): Promise<number> {
    const { config, sources, events } = this.#options;
    const release = obeySignals({ stop: (reason) => this.#requestStop(reason), kill: () => this.#kill() });
    const listeners = await openListeners(config.bind, config.backlog, origin(sources.bind));
    try {
      const strategy = createStrategy(this.#context(listeners));
      this.#strategy = strategy;
      const started = strategy.start().then(() => this.#announce(listeners));
      const reason = await Promise.race([this.#stop, started.then(() => this.#stop)]);
      events.tell({ event: 'stopping', reason, gracefulMs: config.gracefulTimeout });
      const drained = strategy.drain(config.gracefulTimeout);
      // At once, so that who comes now is refused instead of forgotten in a queue, and the next server can have the port.
      for (const listener of listeners.splice(0)) listener.close();
      await drained;
      const why = this.#killed ? `${reason}, then killed` : reason;
      events.tell({ event: 'stopped', reason: why, requests: strategy.snapshot().served });
      return this.#killed ? killedExit : 0;
    } finally {
      for (const listener of listeners) listener.close();
      release();
    }
  }

  #context(listeners: readonly Listener[]) {
    const { config, sources, events, accessLog } = this.#options;
    const { app, demoFaults, bootTimeout, threads, backlog } = config;
    const { headerTimeout, requestTimeout, keepAliveTimeout } = config;
    const { maxHeaderSize, maxBodySize, maxRequestsPerConnection } = config;
    const limits: Limits = {
      headerTimeout,
      requestTimeout,
      keepAliveTimeout,
      maxHeaderSize,
      maxBodySize,
      maxRequestsPerConnection,
    };
    const keys = Object.keys(limits) as (keyof Limits)[];
    const listen = listeners.map(({ fd }) => fd);
    const spawn: SpawnOptions = {
      settings: {
        app: app === undefined ? undefined : path.resolve(app),
        addresses: listeners.map(({ address }) => address),
        demoFaults,
        bootTimeout,
        backlog,
        threads,
        executor: 'inline',
        threadAccept: 'dispatch',
        once: false,
        limits,
        limitsGiven: keys.filter((key) => sources[key].kind !== 'default'),
      },
      nodeArg: config.nodeArg,
      captureOutput: config.captureOutput,
      listen,
      accessLog,
      events,
    };
    return { config, events, listen, spawn };
  }

  #announce(listeners: readonly Listener[]): void {
    const { config, events } = this.#options;
    const urls = listeners.map(({ url }) => url);
    const { model, workers, threads } = config;
    const bootMs = Math.round(performance.now()); // since this process began
    events.tell({ event: 'ready', url: urls[0] ?? '', urls, model, workers, threads, pid: process.pid, bootMs });
  }

  #kill(): void {
    if (!this.#strategy) process.exit(killedExit); // there is nothing yet to end
    this.#killed = true;
    this.#strategy.kill();
  }
}
