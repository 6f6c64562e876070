// ppc: a process per connection. The supervisor accepts, forks, and passes the connection on; the child serves it
// and exits. Where it comes from: the classic UNIX server, CERN httpd. Best isolation, dearest connection.
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { BackOff } from '../back-off.js';
import { shedder } from '../balance/shedder.js';
import { keptForOthers, keptInHaste, readiest } from '../balance/spare.js';
import { Turn, unhurriedShare } from '../balance/turn.js';
import { now, within } from '../clock.js';
import type { Config } from '../config/config.js';
import { Acceptor } from '../os/acceptor.js';
import { duplicate } from '../os/descriptor.js';
import { doorOf, giveAway, isCarried } from '../os/relay.js';
import { boot } from '../process/boot.js';
import { reopenAll, type WorkerHandle } from '../process/handle.js';
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
  /** Those that have been relieved and give their connections away, and when that is urgent. */
  readonly #leaving = new Map<WorkerHandle, number>();
  readonly #backOff = new BackOff();
  readonly #turn = new Turn(() => this.#refill());
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
  }

  async start(): Promise<void> {
    const first = await this.#rehearse(this.#options, this.#generation);
    if (this.#drainMs !== undefined) return;
    this.#spares.add(this.#watched(first));
    this.#open();
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
  }

  async reload(context: StrategyContext, onProgress: OnProgress, trial?: Trial): Promise<void> {
    const options = this.#optionsOf(context);
    const before = { context: this.#context, options: this.#options, generation: this.#generation };
    const generation = before.generation + 1;
    const first = await this.#rehearse(options, generation);
    if (this.#drainMs !== undefined) return;
    for (const spare of this.#spares) this.#dismiss(spare);
    const old = [...this.#children].filter((child) => child !== first);
    this.#serveAs({ context, options, generation });
    this.#spares.add(this.#watched(first));
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
    return { ...spawn, settings: { ...spawn.settings, ...work, once: true, isRehearsed: true }, listen: [] };
  }

  /**
   * A child that has loaded the app and found it ready: what cannot be loaded should be known before the first client
   * comes. @throws StartupError
   */
  async #rehearse({ settings, ...options }: SpawnOptions, generation: number): Promise<WorkerHandle> {
    const first = { ...options, settings: { ...settings, isRehearsed: false } };
    const child = await boot(() => {
      this.#rehearsal = this.#fork(first, generation);
      return this.#rehearsal;
    });
    this.#rehearsal = undefined;
    return child;
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
    if (!isCarried && this.#spares.size <= this.#kept) return undefined;
    const spare = readiest(this.#spares, ({ stage }) => stage === 'ready');
    if (!spare) return undefined;
    this.#spares.delete(spare);
    setImmediate(() => this.#refill()); // to fork holds everything up, also the connection that is about to be given
    return spare;
  }

  /** Starts children before there are connections for them: --spares, and those for connections that are expected. */
  #refill(): void {
    const { spares } = this.#context.config;
    const wanted = Math.max(spares, this.#kept);
    const isMissing = () => this.#acceptor && this.#drainMs === undefined && this.#spares.size < wanted;
    try {
      while (isMissing() && (this.#spares.size < spares || this.#turn.has(this.#starting, this.#isUrgent)))
        this.#spares.add(this.#watched(this.#fork()));
      if (!isMissing()) this.#turn.pass();
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
      if (!this.#leaving.has(child)) this.#leaving.set(child, now() + ms * unhurriedShare);
      child.drain(ms, !this.#stays);
      void child.exit.then(() => {
        this.#leaving.delete(child);
        this.#refill();
      });
    }
    this.#refill();
  }

  /** It may be the turn of a spare that is expected. Those of --spares have their own time, after deaths later and later. */
  #next(): void {
    if (this.#expects) this.#refill();
    else this.#offerSpares();
  }

  /** Spares that are kept for those. */
  get #kept(): number {
    if (!this.#expects) return 0;
    return this.#isUrgent ? keptInHaste : keptForOthers;
  }

  get #isUrgent(): boolean {
    const time = now();
    return [...this.#leaving.values()].some((urgentFrom) => time > urgentFrom);
  }

  get #starting(): number {
    return [...this.#children].filter(({ stage }) => stage === 'starting').length;
  }

  /** For each of those connections a child that has loaded the app, so that its client does not wait for that. */
  #offerSpares(): void {
    if (!this.#acceptor) return;
    const ready = [...this.#spares].filter(({ stage }) => stage === 'ready').length;
    this.#acceptor.seats = this.#expects ? ready : 0;
  }

  /** One that dies without ever having had a connection is replaced, later and later. */
  #watched(spare: WorkerHandle): WorkerHandle {
    void spare.exit.then(({ livedMs }) => {
      if (!this.#spares.delete(spare)) return;
      setTimeout(() => this.#refill(), this.#backOff.died(livedMs)).unref();
    });
    return spare;
  }

  #fork(options = this.#options, generation = this.#generation): WorkerHandle {
    const { events } = this.#context;
    const since = now();
    const child = spawn(options, ++this.#count, generation, 1);
    this.#children.add(child);
    child.ready.then(
      () => {
        this.#turn.took(now() - since);
        this.#next();
      },
      () => {},
    );
    void child.exit.then(({ code, signal, wanted }) => {
      this.#children.delete(child);
      this.#served += child.served;
      this.#next();
      if (wanted || code === 0 || child === this.#rehearsal) return;
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
