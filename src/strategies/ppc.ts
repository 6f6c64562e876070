// ppc: a process per connection. The supervisor accepts, forks, and passes the connection on; the child serves it
// and exits. Where it comes from: the classic UNIX server, CERN httpd. Best isolation, dearest connection.
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { shedder } from '../balance/shedder.js';
import type { Config } from '../config/config.js';
import { Acceptor } from '../os/acceptor.js';
import { duplicate } from '../os/descriptor.js';
import type { WorkerHandle } from '../process/handle.js';
import { Pool } from '../process/pool.js';
import { askAgain, type SpawnOptions, spawn } from '../process/spawn.js';
import type { Model, Placement, Strategy, StrategyContext, StrategySnapshot } from './strategy.js';

/** A connection whose child could not be started, or died before it took it, is given to another; so often in all. */
const tries = 3;

class ProcessPerConnection implements Strategy {
  readonly #context: StrategyContext;
  readonly #options: SpawnOptions;
  readonly #children = new Set<WorkerHandle>();
  #rehearsal: Pool | undefined;
  #acceptor: Acceptor | undefined;
  #count = 0;
  #served = 0;
  #drainMs: number | undefined;

  constructor(context: StrategyContext, placement: Placement) {
    this.#context = context;
    const { acceptedBy: _, ...work } = placement;
    const settings = { ...context.spawn.settings, ...work, once: true };
    this.#options = { ...context.spawn, settings, listen: [] };
  }

  async start(): Promise<void> {
    await this.#rehearse();
    if (this.#drainMs !== undefined) return;
    const { config, listen } = this.#context;
    this.#acceptor = new Acceptor({
      fds: listen.map(duplicate),
      backlog: config.backlog,
      limit: config.maxConnections,
      isShared: false,
      handOver: true,
      serve: (socket) => this.#serve(socket),
      onCrowded: shedder(() => this.#children),
    });
    this.#acceptor.start();
  }

  async drain(ms: number): Promise<void> {
    this.#drainMs = ms;
    this.#acceptor?.close();
    for (const child of this.#children) child.drain(ms);
    await this.#rehearsal?.drain(ms);
    while (this.#children.size > 0) await Promise.all([...this.#children].map(({ exit }) => exit));
  }

  kill(): void {
    this.#drainMs = 0;
    this.#acceptor?.close();
    for (const child of this.#children) child.kill();
    this.#rehearsal?.kill();
  }

  snapshot(): StrategySnapshot {
    return { served: this.#served };
  }

  /** One child loads the app and ends: what cannot be loaded should be known before the first client comes. */
  async #rehearse(): Promise<void> {
    const pool = new Pool(1, () => spawn(this.#options, 0, 1, 1), this.#context.events);
    this.#rehearsal = pool;
    await pool.start();
    void pool.drain(this.#context.config.gracefulTimeout);
  }

  /** Settles when the child that served the connection has exited. Never rejects. */
  async #serve(socket: Socket): Promise<void> {
    let reason = 'the server is stopping';
    for (let tried = 0; tried < tries && this.#drainMs === undefined; tried++) {
      let child: WorkerHandle;
      try {
        child = this.#fork();
      } catch (error) {
        reason = (error as Error).message;
        await pause(askAgain);
        continue;
      }
      const answer = await child.give(socket, () => {});
      await child.exit;
      if (answer === 'accepted') return;
      reason = await child.ready.then(
        () => 'its process ended before it took the connection',
        (error: Error) => error.message,
      );
    }
    socket.destroy();
    this.#context.events.tell({ event: 'connection-lost', reason });
  }

  #fork(): WorkerHandle {
    const { events } = this.#context;
    const child = spawn(this.#options, ++this.#count, 1, 1);
    this.#children.add(child);
    void child.exit.then(({ code, signal, wanted }) => {
      this.#children.delete(child);
      this.#served += child.served;
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
  maxConnections: 256,
  placement: (_: Config): Placement => ({
    acceptedBy: 'supervisor',
    executor: 'inline',
    threadAccept: 'dispatch',
    threads: 1,
  }),
  strategy: ProcessPerConnection,
};
