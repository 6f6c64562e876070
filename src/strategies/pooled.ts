// A pool of worker processes that are made ahead: what prefork, tpc, prethread and hybrid have in common, and all
// but their placement. The workers accept, or the supervisor accepts and gives each connection to one in turn.
import { responsive } from '../balance/balancer.js';
import { divide } from '../balance/divide.js';
import { roundRobin } from '../balance/round-robin.js';
import { now, within } from '../clock.js';
import { type Config, rangeOf } from '../config/config.js';
import { Acceptor } from '../connection/acceptor.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { duplicateChannel } from '../migration/channel.js';
import { migrateUnserved } from '../migration/sender.js';
import { duplicate } from '../os/descriptor.js';
import { Recycler } from '../upkeep/recycler.js';
import { lookEvery, Scaler } from '../upkeep/scaler.js';
import { type SpawnOptions, spawn } from '../worker/process-runtime.js';
import { reopenAll, type WorkerHandle } from '../worker/worker.js';
import { Pool, type Spawn } from './pool.js';
import { refusedTo } from './refused.js';
import { settleMs } from './settle.js';
import type { OnProgress, Placement, Strategy, StrategyContext, StrategySnapshot, Trial } from './strategy.js';

/** After a worker could not be added (milliseconds). */
const askAgain = 10_000;

export class Pooled implements Strategy {
  readonly #placementOf: (config: Config) => Placement;
  readonly #pool: Pool;
  #recycler: Recycler<WorkerHandle>;
  #scaler: Scaler | undefined;
  #context: StrategyContext;
  readonly #balance = roundRobin();
  #acceptor: Acceptor | undefined;
  /** Looks whether the pool has the right size. */
  #watching: NodeJS.Timeout | undefined;
  /** Settles when nothing is being changed. */
  #changing: Promise<unknown> = Promise.resolve();
  #changes = 0;
  /** When it may grow again, after it could not. */
  #notBefore = 0;
  /** It is drained, and connections without a worker go to others. */
  #carries = false;

  constructor(context: StrategyContext, placementOf: (config: Config) => Placement) {
    const { config, events } = context;
    this.#context = context;
    this.#placementOf = placementOf;
    this.#pool = new Pool(config.workers, this.#spawner(context), config.gracefulTimeout, events, context.generation);
    this.#recycler = this.#recycle(context);
    this.#scaler = scalerOf(config);
  }

  async start(): Promise<void> {
    await this.#pool.start();
    if (!this.#pool.ending) this.#keepUp();
  }

  /** From now on it is served, and seen to it that it stays so. */
  #keepUp(): void {
    this.#letBe();
    this.#recycler.start();
    this.#open();
    if (this.#scaler) this.#watching = setInterval(() => this.#look(), lookEvery);
  }

  #letBe(): void {
    this.#recycler.stop();
    clearInterval(this.#watching);
  }

  /** Where the workers do not accept themselves, somebody has to. */
  #open(): void {
    const { config, events, listen, spawn } = this.#context;
    if (this.#acceptor || this.#placementOf(config).acceptedBy === 'workers') return;
    this.#acceptor = new Acceptor({
      fds: listen.map(duplicate),
      backlog: config.backlog,
      limit: config.maxConnections,
      isShared: false,
      handsOver: true,
      serve: (connection) => this.#place(connection),
      onCrowded: () => {
        for (const worker of this.#pool.ready) worker.shed();
      },
      migrationChannel: duplicateChannel(spawn.migrationChannel),
      onRefused: refusedTo(events),
    });
    this.#acceptor.start();
  }

  async drain(ms: number, carries = false): Promise<void> {
    this.#carries = carries;
    this.#letBe();
    this.#acceptor?.close();
    await this.#pool.drain(ms, carries);
  }

  stay(): void {
    this.#carries = false;
    this.#pool.stay();
  }

  expect(isExpecting: boolean): void {
    this.#pool.expect(isExpecting);
  }

  kill(): void {
    this.#carries = false;
    this.#letBe();
    this.#acceptor?.close();
    this.#pool.kill();
  }

  reload(context: StrategyContext, onProgress: OnProgress, trial?: Trial): Promise<void> {
    return this.#alone(async () => {
      const { workers, minWorkers, maxWorkers, gracefulTimeout } = context.config;
      const all = this.#pool.size;
      await this.#pool.reload(this.#spawner(context), (done) => onProgress(done, all), trial);
      const { executor } = this.#placementOf(context.config);
      if (executor === 'thread-per-connection') await within(settleMs, this.#pool.settled());
      // Whoever has scaled it since the start keeps that, unless he has now configured another number.
      const isOther = workers !== this.#context.config.workers || this.#pool.size === 0;
      this.#letBe();
      this.#context = context;
      this.#pool.drainMs = gracefulTimeout;
      this.#recycler = this.#recycle(context);
      this.#scaler = scalerOf(context.config);
      const size = isOther ? workers : this.#pool.size;
      const isFixed = minWorkers === maxWorkers;
      await this.#resize(isFixed ? size : Math.min(maxWorkers, Math.max(minWorkers, size)));
    });
  }

  scale(workers: number): Promise<void> {
    return this.#alone(async () => {
      if (workers === 0) {
        this.#letBe();
        this.#acceptor?.close(); // from now on the kernel queues them
        this.#acceptor = undefined;
      }
      await this.#resize(workers);
    });
  }

  /** Whatever comes of it, those that are there are kept up. A client that comes afterwards meets none that leave. */
  async #resize(workers: number): Promise<void> {
    try {
      await this.#pool.resize(workers);
    } finally {
      if (this.#pool.size > 0 && !this.#pool.ending) this.#keepUp();
    }
    await within(settleMs, this.#pool.acceptNoMore());
  }

  /** Changes the pool while nobody else does. */
  #alone<T>(change: () => Promise<T>): Promise<T> {
    this.#changes++;
    const outcome = this.#changing.then(change).finally(() => this.#changes--);
    this.#changing = outcome.catch(() => {}); // whoever wanted it knows
    return outcome;
  }

  #look(): void {
    if (this.#changes > 0 || this.#pool.ending || now() < this.#notBefore) return;
    const from = this.#pool.size;
    const decision = this.#scaler?.decide(this.#pool.ready, from, now());
    if (!decision) return;
    const { size: to, reason } = decision;
    const { events } = this.#context;
    const grown = this.#alone(() => this.#pool.resize(to)).catch(({ message }: Error) => {
      if (this.#pool.ending) return;
      this.#notBefore = now() + askAgain;
      events.tell({ event: 'operation-failed', action: 'scale', reason: message });
    });
    void grown.then(() => {
      const { size } = this.#pool;
      if (size !== from && !this.#pool.ending)
        events.tell({ event: 'scaled', unit: 'workers', from, to: size, reason });
    });
  }

  reopen(path: string): Promise<void> {
    return reopenAll(this.#pool.workers, path);
  }

  snapshot(): StrategySnapshot {
    const { served, generation, size, workers } = this.#pool;
    return { served, generation, size, workers };
  }

  #recycle({ config, events }: StrategyContext): Recycler<WorkerHandle> {
    // Threads of a pool have their own requests and age; what memory they use is that of the process.
    const isPool = this.#placementOf(config).executor === 'thread-pool';
    const wear = isPool ? { ...config, maxRequests: 0, maxAge: 0 } : config;
    return new Recycler(this.#pool, wear, {
      recycled: ({ id: worker, pid }, reason) => events.tell({ event: 'worker-recycled', worker, pid, reason }),
      failed: ({ id: worker }, reason) => events.tell({ event: 'worker-unfit', worker, reason }),
    });
  }

  #spawner(context: StrategyContext): Spawn {
    const { config } = context;
    const { acceptedBy, ...work } = this.#placementOf(config);
    const options: SpawnOptions = {
      ...context.spawn,
      settings: { ...context.spawn.settings, ...work },
      listen: acceptedBy === 'workers' ? context.listen : [],
    };
    const shares = divide(config.maxConnections, config.maxWorkers);
    // Those beyond what is configured, by an operator, have as much as the last.
    return (id, generation, warmsUp) =>
      spawn(options, id, generation, shares[Math.min(id, shares.length) - 1] ?? 1, warmsUp);
  }

  /** Settles when the connection has ended, wherever it was placed. */
  async #place(connection: IncomingConnection): Promise<void> {
    while (!this.#pool.ending) {
      const worker = this.#balance(responsive(this.#pool.ready));
      if (!worker) {
        await this.#pool.nextReady();
        continue;
      }
      let ended = (): void => {};
      const end = new Promise<void>((resolve) => {
        ended = resolve;
      });
      if ((await worker.give(connection, ended)) === 'accepted') return end;
    }
    await migrateUnserved(connection, this.#context.spawn.migrationChannel, () => this.#carries);
  }
}

function scalerOf({ minWorkers, maxWorkers, ...config }: Config): Scaler | undefined {
  return minWorkers < maxWorkers ? new Scaler(rangeOf(config, minWorkers, maxWorkers)) : undefined;
}
