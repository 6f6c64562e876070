// A pool of worker processes that are made ahead: what prefork, tpc, prethread and hybrid have in common, and all
// but their placement. The workers accept, or the supervisor accepts and gives each connection to one in turn.
import type { Socket } from 'node:net';
import { responsive } from '../balance/balancer.js';
import { divide } from '../balance/divide.js';
import { roundRobin } from '../balance/round-robin.js';
import type { Config } from '../config/config.js';
import { Acceptor } from '../os/acceptor.js';
import { duplicate } from '../os/descriptor.js';
import { reopenAll } from '../process/handle.js';
import { Pool, type Spawn } from '../process/pool.js';
import { Recycler } from '../process/recycler.js';
import { type SpawnOptions, spawn } from '../process/spawn.js';
import type { OnProgress, Placement, Strategy, StrategyContext, StrategySnapshot } from './strategy.js';

export class Pooled implements Strategy {
  readonly #placementOf: (config: Config) => Placement;
  readonly #pool: Pool;
  #recycler: Recycler;
  #context: StrategyContext;
  readonly #balance = roundRobin();
  #acceptor: Acceptor | undefined;

  constructor(context: StrategyContext, placementOf: (config: Config) => Placement) {
    this.#context = context;
    this.#placementOf = placementOf;
    this.#pool = new Pool(context.config.workers, this.#spawner(context), context.events);
    this.#recycler = this.#recycle(context);
  }

  async start(): Promise<void> {
    await this.#pool.start();
    if (this.#pool.ending) return;
    this.#recycler.start();
    this.#open();
  }

  /** Where the workers do not accept themselves, somebody has to. */
  #open(): void {
    const { config, listen } = this.#context;
    if (this.#acceptor || this.#placementOf(config).acceptedBy === 'workers') return;
    this.#acceptor = new Acceptor({
      fds: listen.map(duplicate),
      backlog: config.backlog,
      limit: config.maxConnections,
      isShared: false,
      handOver: true,
      serve: (socket) => this.#place(socket),
      onCrowded: () => {
        for (const worker of this.#pool.ready) worker.shed();
      },
    });
    this.#acceptor.start();
  }

  async drain(ms: number): Promise<void> {
    this.#recycler.stop();
    this.#acceptor?.close();
    await this.#pool.drain(ms);
  }

  kill(): void {
    this.#recycler.stop();
    this.#acceptor?.close();
    this.#pool.kill();
  }

  async reload(context: StrategyContext, onProgress: OnProgress): Promise<void> {
    const { workers, gracefulTimeout } = context.config;
    const all = this.#pool.size;
    await this.#pool.reload(this.#spawner(context), gracefulTimeout, (done) => onProgress(done, all));
    // Whoever has scaled it since the start keeps that, unless he has now configured another number.
    const isOther = workers !== this.#context.config.workers || this.#pool.size === 0;
    this.#context = context;
    this.#recycler.stop();
    this.#recycler = this.#recycle(context);
    if (!this.#pool.ending) this.#recycler.start();
    if (isOther) await this.#pool.resize(workers, gracefulTimeout);
    if (!this.#pool.ending) this.#open();
  }

  async scale(workers: number): Promise<void> {
    if (workers === 0) {
      this.#acceptor?.close(); // from now on the kernel queues them
      this.#acceptor = undefined;
    }
    await this.#pool.resize(workers, this.#context.config.gracefulTimeout);
    if (workers > 0 && !this.#pool.ending) this.#open();
  }

  reopen(path: string): Promise<void> {
    return reopenAll(this.#pool.workers, path);
  }

  snapshot(): StrategySnapshot {
    const { served, generation, size, workers } = this.#pool;
    return { served, generation, size, workers };
  }

  #recycle({ config, events }: StrategyContext): Recycler {
    return new Recycler(this.#pool, config, config.gracefulTimeout, events);
  }

  #spawner(context: StrategyContext): Spawn {
    const { config } = context;
    const { acceptedBy, ...work } = this.#placementOf(config);
    const options: SpawnOptions = {
      ...context.spawn,
      settings: { ...context.spawn.settings, ...work },
      listen: acceptedBy === 'workers' ? context.listen : [],
    };
    const shares = divide(config.maxConnections, config.workers);
    // Those beyond what is configured have as much as the last.
    return (id, generation) => spawn(options, id, generation, shares[Math.min(id, shares.length) - 1] ?? 1);
  }

  /** Settles when the connection has ended, wherever it was placed. */
  async #place(socket: Socket): Promise<void> {
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
      if ((await worker.give(socket, ended)) === 'accepted') return end;
    }
    socket.destroy();
  }
}
