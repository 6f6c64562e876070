// ppc: a process per connection. The supervisor accepts, forks, and passes the connection on; the child serves it
// and exits. Where it comes from: the classic UNIX server, CERN httpd. Best isolation, dearest connection.
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { BackOff } from '../back-off.js';
import { shedder } from '../balance/shedder.js';
import { keptForOthers, readiest } from '../balance/spare.js';
import { within } from '../clock.js';
import type { Config } from '../config/config.js';
import { Acceptor } from '../os/acceptor.js';
import { duplicate } from '../os/descriptor.js';
import { doorOf, giveAway, isCarried } from '../os/relay.js';
import { reopenAll, type WorkerHandle } from '../process/handle.js';
import { Pool } from '../process/pool.js';
import { askAgain, type SpawnOptions, spawn } from '../process/spawn.js';
import { settleMs } from './settle.js';
import type { Model, OnProgress, Placement, Strategy, StrategyContext, StrategySnapshot, Trial } from './strategy.js';

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

class ProcessPerConnection implements Strategy {
  readonly #placementOf: (config: Config) => Placement;
  readonly #children = new Set<WorkerHandle>();
  /** Those among them that have no connection yet: they have loaded the app, or are about to. */
  readonly #spares = new Set<WorkerHandle>();
  /** Those that have been relieved, and give their connections away. */
  readonly #leaving = new Set<WorkerHandle>();
  readonly #backOff = new BackOff();
  #context: StrategyContext;
  #options: SpawnOptions;
  #generation: number;
  /** Connections of another strategy are about to come. */
  #isExpecting = false;
  #rehearsal: Pool | undefined;
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
  }

  async start(): Promise<void> {
    await this.#rehearse(this.#options);
    if (this.#drainMs === undefined) this.#open();
  }

  /** From now on connections are accepted. */
  #open(): void {
    const { config, listen, spawn } = this.#context;
    this.#acceptor = new Acceptor({
      fds: listen.map(duplicate),
      backlog: config.backlog,
      limit: config.maxConnections,
      isShared: false,
      handOver: true,
      serve: (socket) => this.#serve(socket),
      onCrowded: shedder(() => this.#children),
      relay: doorOf(spawn.relay),
      byOffer: true,
    });
    this.#acceptor.start();
    this.#refill();
  }

  async drain(ms: number, carries = false): Promise<void> {
    this.#drainMs = ms;
    this.#carries = carries;
    this.#spares.clear();
    this.#acceptor?.close();
    for (const child of this.#children) child.drain(ms, carries);
    await this.#rehearsal?.drain(ms);
    while (this.#children.size > 0) await Promise.all([...this.#children].map(({ exit }) => exit));
  }

  stay(): void {
    this.#carries = false;
    this.#stays = true;
    for (const child of this.#children) child.stay();
  }

  expect(isExpecting: boolean): void {
    this.#isExpecting = isExpecting;
    this.#refill();
  }

  kill(): void {
    this.#drainMs = 0;
    this.#carries = false;
    this.#spares.clear();
    this.#acceptor?.close();
    for (const child of this.#children) child.kill();
    this.#rehearsal?.kill();
  }

  async reload(context: StrategyContext, onProgress: OnProgress, trial?: Trial): Promise<void> {
    const options = this.#optionsOf(context);
    await this.#rehearse(options);
    if (this.#drainMs !== undefined) return;
    const before = { context: this.#context, options: this.#options, generation: this.#generation };
    for (const spare of this.#spares) this.#dismiss(spare);
    const old = [...this.#children];
    this.#serveAs({ context, options, generation: before.generation + 1 });
    if (trial && this.#acceptor) await this.#try(trial, old, before);
    if (this.#drainMs !== undefined) return;
    this.#relieve(old, context.config.gracefulTimeout);
    if (!this.#acceptor) this.#open();
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
      this.#spares.clear();
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
    this.#spares.clear();
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
    return { ...spawn, settings: { ...spawn.settings, ...work, once: true }, listen: [] };
  }

  /** One child loads the app and ends: what cannot be loaded should be known before the first client comes. */
  async #rehearse(options: SpawnOptions): Promise<void> {
    const { config, events } = this.#context;
    const pool = new Pool(1, (_, generation) => spawn(options, 0, generation, 1), config.gracefulTimeout, events);
    this.#rehearsal = pool;
    await pool.start();
    void pool.drain(config.gracefulTimeout);
  }

  /** Settles when the child that served the connection has exited. Never rejects. */
  async #serve(socket: Socket): Promise<void> {
    let reason = 'the server is stopping';
    for (let tried = 0; tried < tries && this.#drainMs === undefined; ) {
      let child: WorkerHandle;
      try {
        child = this.#takeSpare(isCarried(socket)) ?? this.#fork();
      } catch (error) {
        reason = (error as Error).message;
        tried++;
        await pause(askAgain);
        continue;
      }
      const answer = await child.give(socket, () => {});
      const { wanted } = await child.exit;
      if (answer === 'accepted') return;
      if (!wanted) tried++; // otherwise a reload has relieved it before it had the connection
      reason = await child.ready.then(
        () => 'its process ended before it took the connection',
        (error: Error) => error.message,
      );
    }
    const { events, spawn: options } = this.#context;
    const isGiven = await giveAway(socket, options.relay, () => this.#carries);
    if (!isGiven) events.tell({ event: 'connection-lost', reason });
  }

  /**
   * One that is ready, or else the one that has been starting for longest. While connections are expected that have a
   * seat only when a spare is ready, others take none that is kept for those.
   */
  #takeSpare(isCarried: boolean): WorkerHandle | undefined {
    if (!isCarried && this.#expects && this.#spares.size <= keptForOthers) return undefined;
    const spare = readiest(this.#spares, ({ stage }) => stage === 'ready');
    if (!spare) return undefined;
    this.#spares.delete(spare);
    this.#refill();
    return spare;
  }

  /** Starts children before there are connections for them (--spares). */
  #refill(): void {
    const { spares } = this.#context.config;
    const wanted = this.#expects ? Math.max(spares, keptForOthers) : spares;
    try {
      while (this.#acceptor && this.#drainMs === undefined && this.#spares.size < wanted)
        this.#spares.add(this.#watched(this.#fork()));
      for (const spare of [...this.#spares].slice(wanted)) this.#dismiss(spare);
    } catch {
      setTimeout(() => this.#refill(), askAgain).unref();
    }
    this.#offerSpares();
  }

  /** Of a spare there is no connection to finish. */
  #dismiss(spare: WorkerHandle): void {
    this.#spares.delete(spare);
    spare.drain(this.#context.config.gracefulTimeout);
  }

  /** Connections are about to come over the relay: of another strategy, or of children of another generation. */
  get #expects(): boolean {
    return this.#isExpecting || this.#leaving.size > 0;
  }

  /** Has them give their connections to children of the generation that serves. */
  #relieve(children: readonly WorkerHandle[], ms: number): void {
    for (const child of children) {
      if (child.stage === 'gone') continue;
      this.#leaving.add(child);
      child.drain(ms, !this.#stays);
      void child.exit.then(() => {
        this.#leaving.delete(child);
        this.#refill();
      });
    }
    this.#refill();
  }

  /** For each of those connections a child that has loaded the app, so that its client does not wait for that. */
  #offerSpares(): void {
    if (!this.#acceptor) return;
    const ready = [...this.#spares].filter(({ stage }) => stage === 'ready').length;
    this.#acceptor.seats = this.#expects ? ready : 0;
  }

  /** One that dies without ever having had a connection is replaced, later and later. */
  #watched(spare: WorkerHandle): WorkerHandle {
    spare.ready.then(
      () => this.#offerSpares(),
      () => {},
    );
    void spare.exit.then(({ livedMs }) => {
      if (!this.#spares.delete(spare)) return;
      setTimeout(() => this.#refill(), this.#backOff.died(livedMs)).unref();
    });
    return spare;
  }

  #fork(): WorkerHandle {
    const { events } = this.#context;
    const child = spawn(this.#options, ++this.#count, this.#generation, 1);
    this.#children.add(child);
    void child.exit.then(({ code, signal, wanted }) => {
      this.#children.delete(child);
      this.#served += child.served;
      this.#offerSpares();
      if (wanted || code === 0) return;
      const reason = signal === null ? `it exited with code ${code}` : `it was ended by ${signal}`;
      events.tell({ event: 'worker-died', worker: child.id, pid: child.pid, reason, replacedInMs: undefined });
    });
    return child;
  }
}

export const ppc: Model = {
  name: 'ppc',
  summary: 'a process per connection: the best isolation, the dearest connection',
  accept: [],
  once: true,
  spares: true,
  maxConnections: 256,
  placement: (_: Config): Placement => ({
    acceptedBy: 'supervisor',
    executor: 'inline',
    threadAccept: 'dispatch',
    threads: 1,
  }),
  strategy: ProcessPerConnection,
};
