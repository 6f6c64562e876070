// A pool of worker processes that are made ahead: what prefork, tpc, prethread and hybrid have in common, and all
// but their placement. The workers accept, or the supervisor accepts and gives each connection to one in turn.
import type { Socket } from 'node:net';
import { responsive } from '../balance/balancer.js';
import { divide } from '../balance/divide.js';
import { roundRobin } from '../balance/round-robin.js';
import { Acceptor } from '../os/acceptor.js';
import { duplicate } from '../os/descriptor.js';
import { Pool } from '../process/pool.js';
import { type SpawnOptions, spawn } from '../process/spawn.js';
import type { Placement, Strategy, StrategyContext, StrategySnapshot } from './strategy.js';

export class Pooled implements Strategy {
  readonly #context: StrategyContext;
  readonly #placement: Placement;
  readonly #pool: Pool;
  readonly #balance = roundRobin();
  #acceptor: Acceptor | undefined;

  constructor(context: StrategyContext, placement: Placement) {
    this.#context = context;
    this.#placement = placement;
    const { config, events } = context;
    const { acceptedBy, ...work } = placement;
    const options: SpawnOptions = {
      ...context.spawn,
      settings: { ...context.spawn.settings, ...work },
      listen: acceptedBy === 'workers' ? context.listen : [],
    };
    const shares = divide(config.maxConnections, config.workers);
    this.#pool = new Pool(config.workers, (id) => spawn(options, id, 1, shares[id - 1] ?? 1), events);
  }

  async start(): Promise<void> {
    await this.#pool.start();
    if (this.#placement.acceptedBy === 'workers' || this.#pool.ending) return;
    const { config, listen } = this.#context;
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
    this.#acceptor?.close();
    await this.#pool.drain(ms);
  }

  kill(): void {
    this.#acceptor?.close();
    this.#pool.kill();
  }

  snapshot(): StrategySnapshot {
    return { served: this.#pool.served };
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
