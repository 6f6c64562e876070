// ppc: a process per connection. The supervisor accepts, forks, and passes the connection on; the child serves it
// and exits. Where it comes from: the classic UNIX server, CERN httpd. Best isolation, dearest connection.
import { setTimeout as pause } from 'node:timers/promises';
import { shedder } from '../balance/shedder.js';
import { now, within } from '../clock.js';
import type { Config } from '../config/config.js';
import { Acceptor } from '../connection/acceptor.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { duplicateChannel } from '../migration/channel.js';
import { migrateUnserved } from '../migration/sender.js';
import { duplicate } from '../os/descriptor.js';
import { wantedCpuMs } from '../os/process-tree.js';
import { askAgain, type SpawnOptions, spawn } from '../worker/process-runtime.js';
import { reopenAll, type WorkerHandle } from '../worker/worker.js';
import { boot } from './boot.js';
import { refusedTo } from './refused.js';
import { settleMs } from './settle.js';
import { Spares, unhurriedShare } from './spares.js';
import { StartLimiter } from './start-limiter.js';
import type { OnProgress, Placement, Strategy, StrategyContext, StrategySnapshot, Trial } from './strategy.js';

/** While a generation is on trial, about so many connections move to it this often (milliseconds). */
const some = 4;
const shareEvery = 500;

/** How children are started. */
interface Manner {
  readonly context: StrategyContext;
  readonly options: SpawnOptions;
  readonly generation: number;
}

/** A connection whose child could not be started, or died before it took it, is given to another; so often in all. */
const tries = 3;

export class ProcessPerConnection implements Strategy {
  readonly #placementOf: (config: Config) => Placement;
  readonly #children = new Set<WorkerHandle>();
  /** Those among them that have no connection yet. */
  readonly #spares: Spares<WorkerHandle>;
  /** A promise for each connection that has been accepted and has not ended. */
  readonly #serving = new Set<Promise<void>>();
  /** Of those that start for a connection. */
  readonly #starts = new StartLimiter();
  /** Those that have been relieved and give their connections away, and when that is urgent. */
  readonly #leaving = new Map<WorkerHandle, number>();
  #context: StrategyContext;
  #options: SpawnOptions;
  #generation: number;
  /** Connections of another strategy are about to come. */
  #isExpecting = false;
  #rehearsal: WorkerHandle | undefined;
  #acceptor: Acceptor | undefined;
  #count = 0;
  #served = 0;
  #drainMs: number | undefined;
  #carries = false;
  /** Connections are not given to others. */
  #stays = false;

  constructor(context: StrategyContext, placementOf: (config: Config) => Placement) {
    this.#context = context;
    this.#placementOf = placementOf;
    this.#generation = context.generation;
    this.#options = this.#optionsOf(context);
    this.#spares = new Spares({
      start: () => this.#fork(true),
      dismiss: (child) => child.drain(this.#context.config.gracefulTimeout),
      isReady: ({ stage }) => stage === 'ready',
      starting: () => [...this.#children].filter(({ stage }) => stage === 'starting').length,
      onSeats: (count) => {
        if (this.#acceptor) this.#acceptor.credits = count;
      },
    });
  }

  async start(): Promise<void> {
    const first = await this.#rehearse(this.#options, this.#generation, this.#isExpecting);
    if (this.#drainMs !== undefined) return;
    this.#spares.add(first);
    this.#open();
  }

  /** From now on connections are accepted. */
  #open(): void {
    const { config, events, listen, spawn } = this.#context;
    this.#acceptor = new Acceptor({
      fds: listen.map(duplicate),
      backlog: config.backlog,
      limit: config.maxConnections,
      isShared: false,
      handsOver: true,
      serve: (connection) => {
        const served = this.#serve(connection);
        this.#serving.add(served);
        return served.finally(() => this.#serving.delete(served));
      },
      onCrowded: shedder(() => this.#children),
      migrationChannel: duplicateChannel(spawn.migrationChannel),
      onRefused: refusedTo(events),
      usesCredits: true,
    });
    this.#acceptor.start();
    this.#spares.keep(config.spares);
  }

  async drain(ms: number, carries = false): Promise<void> {
    this.#drainMs = ms;
    this.#carries = carries;
    this.#starts.close();
    this.#spares.close();
    this.#acceptor?.close();
    for (const child of this.#children) child.drain(ms, carries);
    while (this.#children.size > 0) await Promise.all([...this.#children].map(({ exit }) => exit));
    await within(ms, Promise.all(this.#serving)); // those that have waited for a start are given away
  }

  stay(): void {
    this.#carries = false;
    this.#stays = true;
    for (const child of this.#children) child.stay();
  }

  expect(isExpecting: boolean): void {
    this.#isExpecting = isExpecting;
    this.#foresee();
  }

  kill(): void {
    this.#drainMs = 0;
    this.#carries = false;
    this.#starts.close();
    this.#spares.close();
    this.#acceptor?.close();
    for (const child of this.#children) child.kill();
  }

  async reload(context: StrategyContext, onProgress: OnProgress, trial?: Trial): Promise<void> {
    const options = this.#optionsOf(context);
    const before = { context: this.#context, options: this.#options, generation: this.#generation };
    const generation = before.generation + 1;
    const first = await this.#rehearse(options, generation, true);
    if (this.#drainMs !== undefined) return;
    this.#spares.dismiss();
    const old = [...this.#children].filter((child) => child !== first);
    this.#serveAs({ context, options, generation });
    this.#spares.add(first);
    if (trial && this.#acceptor) await this.#try(trial, old, before);
    if (this.#drainMs !== undefined) return;
    this.#relieve(old, context.config.gracefulTimeout);
    if (this.#acceptor) this.#spares.keep(context.config.spares);
    else this.#open();
    await this.#settled(old, onProgress);
  }

  /** Each connection has a child that is started for it, so the next reload should leave them the time for that. */
  async #settled(old: readonly WorkerHandle[], onProgress: OnProgress): Promise<void> {
    let gone = 0;
    const ends = old.map(({ exit }) => exit.then(() => onProgress(++gone, old.length)));
    await within(settleMs, Promise.all(ends));
  }

  /** Children that start from now on are such ones. */
  #serveAs({ context, options, generation }: Manner): void {
    this.#context = context;
    this.#options = options;
    this.#generation = generation;
  }

  /** New connections, and some of those that are kept, have children of the new generation while `trial` lasts. */
  async #try(trial: Trial, old: readonly WorkerHandle[], before: Manner): Promise<void> {
    const isExpecting = this.#isExpecting;
    this.expect(true);
    const sharing = setInterval(() => {
      for (const child of old) child.share(Math.min(1, some / old.length));
    }, shareEvery);
    try {
      await trial();
    } catch (error) {
      const failed = [...this.#children].filter(({ generation }) => generation > before.generation);
      this.#spares.dismiss();
      this.#serveAs(before);
      this.#relieve(failed, before.context.config.gracefulTimeout);
      throw error;
    } finally {
      clearInterval(sharing);
      this.expect(isExpecting);
    }
  }

  async scale(workers: number): Promise<void> {
    if (workers > 0) {
      if (!this.#acceptor) this.#open();
      return;
    }
    this.#acceptor?.close();
    this.#acceptor = undefined;
    this.#spares.close();
    for (const child of this.#children) child.drain(this.#context.config.gracefulTimeout);
  }

  reopen(path: string): Promise<void> {
    return reopenAll([...this.#children], path);
  }

  snapshot(): StrategySnapshot {
    const workers = [...this.#children];
    const served = workers.reduce((sum, child) => sum + child.served, this.#served);
    return { served, generation: this.#generation, size: this.#acceptor ? 1 : 0, workers };
  }

  #optionsOf({ config, spawn }: StrategyContext): SpawnOptions {
    const { acceptedBy: _, ...work } = this.#placementOf(config);
    return { ...spawn, settings: { ...spawn.settings, ...work, once: true, isRehearsed: true }, listen: [] };
  }

  /**
   * A child that has loaded the app and found it ready: what cannot be loaded should be known before the first client
   * comes. @throws StartupError
   */
  async #rehearse({ settings, ...options }: SpawnOptions, generation: number, warmsUp: boolean): Promise<WorkerHandle> {
    const first = { ...options, settings: { ...settings, isRehearsed: false } };
    const child = await boot(() => {
      this.#rehearsal = this.#fork(warmsUp, first, generation);
      return this.#rehearsal;
    });
    this.#rehearsal = undefined;
    return child;
  }

  /** Settles when the child that served the connection has exited. Never rejects. */
  async #serve(connection: IncomingConnection): Promise<void> {
    let reason = 'the server is stopping';
    for (let tried = 0; tried < tries && this.#drainMs === undefined; ) {
      let child: WorkerHandle | undefined;
      try {
        child = this.#spares.take(connection.isMigrated) ?? (await this.#forkInTurn());
        if (!child) break; // the server is stopping
      } catch (error) {
        reason = (error as Error).message;
        tried++;
        await pause(askAgain);
        continue;
      }
      const answer = await child.give(connection, () => {});
      const { wanted } = await child.exit;
      if (answer === 'accepted') return;
      if (!wanted) tried++; // otherwise a reload has relieved it before it had the connection
      reason = await child.ready.then(
        () => 'its process ended before it took the connection',
        (error: Error) => error.message,
      );
    }
    const { events, spawn: options } = this.#context;
    const isGiven = await migrateUnserved(connection, options.migrationChannel, () => this.#carries);
    if (!isGiven) events.tell({ event: 'connection-lost', reason });
  }

  /** @returns undefined when the server has begun to stop in the meantime. @throws StartupError */
  async #forkInTurn(): Promise<WorkerHandle | undefined> {
    await this.#starts.turn();
    if (this.#drainMs !== undefined) {
      this.#starts.ended();
      return undefined;
    }
    const since = now();
    try {
      const child = this.#fork();
      const ended = () => {
        const wantedMs = wantedCpuMs(child.pid);
        this.#starts.ended(wantedMs && wantedMs / (now() - since));
      };
      child.ready.then(ended, ended);
      return child;
    } catch (error) {
      this.#starts.ended();
      throw error;
    }
  }

  /** Has them give their connections to children of the generation that serves. */
  #relieve(children: readonly WorkerHandle[], ms: number): void {
    for (const child of children) {
      if (child.stage === 'gone') continue;
      if (!this.#leaving.has(child)) this.#leaving.set(child, now() + ms * unhurriedShare);
      child.drain(ms, !this.#stays);
      void child.exit.then(() => {
        this.#leaving.delete(child);
        this.#foresee();
      });
    }
    this.#foresee();
  }

  /** Connections are about to come over the migration channel, or no longer: of another strategy, or of children that leave. */
  #foresee(): void {
    const isExpecting = this.#isExpecting || this.#leaving.size > 0;
    this.#spares.expect(isExpecting ? Math.min(Number.POSITIVE_INFINITY, ...this.#leaving.values()) : undefined);
  }

  #fork(warmsUp = false, options = this.#options, generation = this.#generation): WorkerHandle {
    const { events } = this.#context;
    const since = now();
    const child = spawn(options, ++this.#count, generation, 1, warmsUp);
    this.#children.add(child);
    child.ready.then(
      () => this.#spares.started(now() - since),
      () => {},
    );
    void child.exit.then(({ code, signal, wanted, livedMs }) => {
      this.#children.delete(child);
      this.#served += child.served;
      this.#spares.ended(child, livedMs);
      if (wanted || code === 0 || child === this.#rehearsal) return;
      const reason = signal === null ? `it exited with code ${code}` : `it was ended by ${signal}`;
      events.tell({ event: 'worker-died', worker: child.id, pid: child.pid, reason, replacedInMs: undefined });
    });
    return child;
  }
}
