// What `Pool` and `PerConnection` have in common: the workers that live, what they have answered, the connections that
// no worker has taken yet, and where connections migrate.
import { msUntil, now, within } from '../clock.js';
import type { Acceptor, AcceptorOptions } from '../connection/acceptor.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { deferred } from '../deferred.js';
import { defaultPolicy, type MigrationPolicy } from '../migration/policy.js';
import { migrateUnserved } from '../migration/sender.js';
import type { EndReason } from '../reports/exit-cause.js';
import type { Ending, Given } from '../worker/hand-over.js';
import type { StartOptions } from '../worker/runtime.js';
import type { Worker } from '../worker/worker.js';
import type { Hosting, StrategySnapshot, Successor } from './strategy.js';

/** After the system refused a worker, another one is started after this time at the earliest (milliseconds). */
export const refusedRetryMs = 500;

/** A connection is not the reason when a worker dies that has not read from it, but an app may end at each connection. */
const maxWorkersEach = 2;

export abstract class BaseStrategy {
  protected hosting: Hosting;
  /** Of the workers that are started from now on. */
  protected generation: number;
  protected policy = defaultPolicy;
  protected isEnding = false;
  /** All that live. */
  protected readonly workers = new Set<Worker>();
  protected acceptor: Acceptor | undefined;
  /** In a drain: others serve clients that connect again. */
  #othersServe = false;
  /** It drains, and connections that no worker has taken migrate. */
  #migrates = false;
  /** Has another strategy serve the connections that no worker has taken. */
  #successor: Successor | undefined;
  /** Until when it may drain. */
  #drainBy = Number.POSITIVE_INFINITY;
  readonly #untaken = new Set<Promise<unknown>>();
  /** Of connections that wait until it is known where their sessions are. */
  protected readonly settling = new Set<Promise<void>>();
  /** In a drain: settles when its workers have been given what has arrived. */
  #given: Promise<void> | undefined;
  readonly #killed = deferred<void>();
  #answeredByTheGone = 0;

  /** @param generation of the first workers */
  constructor(hosting: Hosting, generation: number) {
    this.hosting = hosting;
    this.generation = generation;
  }

  /** How many workers are wanted; 1 where they are not counted, and 0 while none serves. */
  protected abstract readonly size: number;
  /**
   * Has a worker take the connection.
   * @returns `refused` when there is none any more, because the strategy ends. @throws Error that says why none took it
   */
  protected abstract place(connection: IncomingConnection): Promise<Given>;
  /** Stops what it does by itself, for now or, if it is ending, for good. */
  protected abstract pause(): void;
  /** Has the workers that serve follow the policy, and the host accept on the queues of those that are missing. */
  protected abstract tellReceivers(): void;
  /** Has a worker drain whose app has closed its server, and replaces it where it is missed. */
  protected abstract replaceClosed(worker: Worker): void;
  abstract shed(): void;

  async give(connection: IncomingConnection): Promise<void> {
    for (let workers = 1; (await this.#serve(connection)) === 'unread'; workers++) {
      if (workers < maxWorkersEach) continue;
      connection.close();
      this.hosting.listener.connectionLost(`${workers} workers have died before they read from it`);
      return;
    }
  }

  async drain(ms: number, othersServe = false, successor?: Successor): Promise<void> {
    this.isEnding = true;
    this.#drainBy = Math.min(this.#drainBy, now() + ms);
    this.#successor ??= successor;
    this.#othersServe = othersServe;
    this.#migrates = othersServe && this.policy.send !== 'off' && this.hosting.migrationChannel !== undefined;
    this.pause();
    const { acceptor } = this;
    this.closeAcceptor();
    // A successor serves those that arrive later.
    const arrivals = this.#successor ? undefined : acceptor?.arrivals(ms);
    if (arrivals || this.settling.size > 0) this.#given = this.#untilGiven(arrivals);
    // Workers that drain take none. Another order to drain may leave less time.
    if (this.#given) await within(msUntil(this.#drainBy) / 2, this.#given);
    for (const worker of this.workers) this.drainWorker(worker);
    await within(msUntil(this.#drainBy), Promise.all(this.#untaken));
    for (const worker of this.workers) if (worker.stage !== 'draining') worker.drain(0, this.#endReason); // it started meanwhile
    while (this.workers.size > 0) await Promise.all([...this.workers].map(({ exit }) => exit));
    this.#migrates = false;
    await Promise.all(this.#untaken);
  }

  kill(): void {
    this.isEnding = true;
    this.#drainBy = 0;
    this.#migrates = false;
    this.pause();
    this.closeAcceptor();
    this.#killed.resolve();
    for (const worker of this.workers) worker.kill();
  }

  async acceptNoMore(): Promise<void> {
    await this.#given;
    await Promise.all(this.inStage('draining').map(({ acceptsNoMore }) => acceptsNoMore));
  }

  setMigration(change: Partial<MigrationPolicy>): void {
    if (typeof change.send === 'object') {
      for (const worker of this.inStage('ready')) worker.setMigration(change);
      return;
    }
    this.policy = { ...this.policy, ...change };
    if (this.policy.send === 'off') {
      this.#migrates = false;
      for (const worker of this.workers) worker.setMigration({ send: 'off' });
    }
    this.tellReceivers();
  }

  snapshot(): StrategySnapshot {
    const workers = (['ready', 'starting', 'draining'] as const).flatMap((stage) => this.inStage(stage));
    const answered = workers.reduce((sum, { answered }) => sum + answered, this.#answeredByTheGone);
    return { answered, generation: this.generation, size: this.size, workers };
  }

  /** It ends, and no worker is to take a connection any more. */
  protected get isOver(): boolean {
    return this.isEnding && (this.#successor !== undefined || this.#migrates || now() >= this.#drainBy);
  }

  /** Also for a worker that took its connection after the strategy had been told to drain. */
  protected drainWorker(worker: Worker): void {
    worker.drain(msUntil(this.#drainBy), this.#endReason, this.#othersServe);
  }

  /** Why its workers end with it. */
  get #endReason(): EndReason {
    if (this.hosting.endsWithHost) return 'host';
    if (this.#successor) return this.#successor.reason;
    return this.#othersServe ? 'upgrade' : 'stop';
  }

  /** By their ids. */
  protected inStage(stage: Worker['stage']): Worker[] {
    return [...this.workers].filter((worker) => worker.stage === stage).sort((a, b) => a.id - b.id);
  }

  /** @throws StartupError when the system refuses another worker */
  protected startWorker(options: StartOptions, hosting = this.hosting): Worker {
    const worker = hosting.startWorker(options);
    this.workers.add(worker);
    if (this.policy.send === 'off') worker.setMigration({ send: 'off' });
    // When what has happened has been reported, and a place has been given to the worker.
    const changed = (): void => void setImmediate(hosting.listener.changed);
    worker.ready.then(changed, () => {});
    void worker.closed.then(() => {
      if (worker.stage !== 'ready') return; // it has been told to drain meanwhile
      this.replaceClosed(worker);
      changed();
    });
    void worker.exit.then(() => {
      this.workers.delete(worker);
      this.#answeredByTheGone += worker.answered;
      this.coverQueues();
      changed();
    });
    return worker;
  }

  /** From now on the host accepts, where its workers do not. */
  protected openAcceptor(options: Pick<AcceptorOptions, 'usesCredits'>): Acceptor | undefined {
    this.acceptor ??= this.hosting.accept?.({
      ...options,
      serve: (connection) => this.give(connection),
      onCrowded: () => this.shed(),
    });
    this.acceptor?.start();
    this.coverQueues();
    return this.acceptor;
  }

  /** Has the host accept the clients of queues on which none of its workers does: they have died, or are of another strategy. */
  protected coverQueues(): void {
    const { queues, accepts, maxConnections } = this.hosting;
    if (!this.acceptor || this.isEnding) return;
    const accepting = this.inStage('ready').filter(({ isHeld }) => !isHeld);
    const others = queues.notAccepted([...accepts, ...accepting.flatMap((worker) => worker.accepts)]);
    if (accepts.length > 0) {
      this.acceptor.acceptOn(others, maxConnections);
      return;
    }
    // What is left of the limit is the part of those that are missing, unless others have been added.
    const parts = accepting.map((worker) => worker.maxConnections);
    const left = maxConnections - parts.reduce((sum, part) => sum + part, 0);
    // Where none could serve them they wait in the kernel.
    this.acceptor.acceptOn(parts.length > 0 ? others : [], Math.max(left, parts[0] ?? 1));
  }

  /** From now on the kernel queues clients, or another strategy accepts them. */
  protected closeAcceptor(): void {
    this.acceptor?.close();
    this.acceptor = undefined;
  }

  async #serve(connection: IncomingConnection): Promise<Ending> {
    const taking = this.#take(connection);
    this.#untaken.add(taking);
    const given = await taking;
    this.#untaken.delete(taking);
    return typeof given === 'object' ? given.ended : 'over';
  }

  async #untilGiven(arrivals: Promise<unknown> | undefined): Promise<void> {
    await Promise.race([arrivals, this.#killed.promise]);
    await Promise.all(this.settling);
  }

  /** Settles when a worker has the connection, or none will have it. Never rejects. */
  async #take(connection: IncomingConnection): Promise<Given> {
    const { listener, migrationChannel } = this.hosting;
    try {
      const given = await this.place(connection);
      if (given === 'gone') connection.close();
      else if (given !== 'refused') return given;
      else if (this.#successor) return { ended: this.#successor.give(connection).then(() => 'over') };
      else if (!(await migrateUnserved(connection, migrationChannel, () => this.#migrates)))
        listener.connectionLost('the server is stopping');
      return given;
    } catch (error) {
      connection.close();
      listener.connectionLost((error as Error).message);
      return 'gone';
    }
  }
}
