// A worker for each connection: the host accepts, starts a worker or takes a spare one, and hands the connection over; the
// worker serves it and exits. Where it comes from: the classic UNIX server, CERN httpd. Best isolation, dearest connection.
import { setTimeout as pause } from 'node:timers/promises';
import { shedder } from '../balance/shedder.js';
import { now, within } from '../clock.js';
import type { Acceptor } from '../connection/acceptor.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { defaultPolicy, type MigrationPolicy } from '../migration/policy.js';
import { migrateUnserved } from '../migration/sender.js';
import type { Given, Worker } from '../worker/worker.js';
import { boot } from './boot.js';
import { Spares, urgentAfterShare } from './spares.js';
import { StartLimiter } from './start-limiter.js';
import {
  type Hosting,
  type OnProgress,
  type Strategy,
  type StrategySnapshot,
  settleMs,
  type Trial,
} from './strategy.js';

/** While a generation is on trial, about this many connections move to it, this often (milliseconds). */
const rebalanceCount = 4;
const rebalanceEveryMs = 500;

/** A connection whose worker could not be started, or died before it took it, goes to another; this often in all. */
const maxTries = 3;
/** After the system refused a worker (milliseconds). */
const refusedRetryMs = 500;

interface Generation {
  readonly number: number;
  readonly hosting: Hosting;
}

export class PerConnection implements Strategy {
  #current: Generation;
  readonly #workers = new Set<Worker>();
  /** Workers that have no connection yet. */
  readonly #spares: Spares<Worker>;
  /** A promise for each connection that was accepted and has not ended. */
  readonly #serving = new Set<Promise<void>>();
  readonly #starts = new StartLimiter();
  /** Workers that have been replaced and whose connections migrate, and from when that is urgent. */
  readonly #leaving = new Map<Worker, number>();
  #policy = defaultPolicy;
  /** Connections are about to migrate here; from then on that is urgent. */
  #receivesUrgentlyFrom: number | undefined;
  /** The first worker of a generation, while it starts. */
  #first: Worker | undefined;
  #acceptor: Acceptor | undefined;
  /** Serves clients, or will when it has started. */
  #isOpen = false;
  #tellCredits = (_: number): void => {};
  #count = 0;
  #answeredByTheGone = 0;
  #drainMs: number | undefined;
  /** It drains, and connections without a worker migrate. */
  #migrates = false;

  /** @param generation of the first workers */
  constructor(hosting: Hosting, generation: number) {
    this.#current = { number: generation, hosting };
    this.#spares = new Spares({
      start: () => this.#start(this.#current, { warmsUp: true }),
      dismiss: (worker) => worker.drain(this.#current.hosting.drainMs),
      isReady: ({ stage }) => stage === 'ready',
      starting: () => [...this.#workers].filter(({ stage }) => stage === 'starting').length,
      onCredits: (count) => this.#tellCredits(count),
    });
  }

  async start(): Promise<void> {
    const first = await this.#startFirst(this.#current, this.#policy.receives);
    if (this.#isEnding) return;
    this.#spares.add(first);
    this.#open();
  }

  /** Calls `told` with the number of migrated connections that could be served at once. */
  onCredits(told: (count: number) => void): void {
    this.#tellCredits = told;
    this.#spares.refill();
  }

  /** Closes the connections of the slowest clients. */
  readonly shed = shedder(() => this.#workers);

  give(connection: IncomingConnection): Promise<void> {
    const served = this.#serve(connection).finally(() => this.#serving.delete(served));
    this.#serving.add(served);
    return served;
  }

  async drain(ms: number, migrates = false): Promise<void> {
    this.#drainMs = ms;
    this.#migrates = migrates && this.#policy.send !== 'off';
    this.#starts.close();
    this.#spares.close();
    this.#close();
    for (const worker of this.#workers) worker.drain(ms, migrates);
    while (this.#workers.size > 0) await Promise.all([...this.#workers].map(({ exit }) => exit));
    await within(ms, Promise.all(this.#serving)); // those that have waited for a start migrate
  }

  /** The host accepts. */
  async acceptNoMore(): Promise<void> {}

  setMigration(change: Partial<MigrationPolicy>): void {
    if (typeof change.send === 'object') {
      for (const worker of this.#workers) worker.setMigration(change);
      return;
    }
    this.#policy = { ...this.#policy, ...change };
    if (this.#policy.send === 'off') {
      this.#migrates = false;
      for (const worker of this.#workers) worker.setMigration({ send: 'off' });
    }
    this.#expect();
  }

  kill(): void {
    this.#drainMs = 0;
    this.#migrates = false;
    this.#starts.close();
    this.#spares.close();
    this.#close();
    for (const worker of this.#workers) worker.kill();
  }

  async replaceAll(hosting: Hosting, onProgress: OnProgress, trial?: Trial): Promise<void> {
    const before = this.#current;
    const next = { number: before.number + 1, hosting };
    const first = await this.#startFirst(next, true);
    if (this.#isEnding) return;
    this.#spares.dismiss();
    const old = [...this.#workers].filter((worker) => worker !== first);
    this.#current = next;
    this.#spares.add(first);
    if (trial && this.#isOpen) await this.#try(trial, old, before);
    if (this.#isEnding) return;
    this.#retire(old, hosting.drainMs);
    if (this.#isOpen) this.#spares.keep(hosting.spares);
    else this.#open();
    // Each connection has a worker that is started for it, so the next reload should leave them the time for that.
    let gone = 0;
    const exits = old.map(({ exit }) => exit.then(() => onProgress(++gone, old.length)));
    await within(settleMs, Promise.all(exits));
  }

  async resize(workers: number): Promise<void> {
    if (workers > 0) {
      if (!this.#isOpen) this.#open();
      return;
    }
    this.#close();
    this.#spares.close();
    for (const worker of this.#workers) worker.drain(this.#current.hosting.drainMs);
  }

  snapshot(): StrategySnapshot {
    const workers = [...this.#workers];
    const answered = workers.reduce((sum, { answered }) => sum + answered, this.#answeredByTheGone);
    return { answered, generation: this.#current.number, size: this.#isOpen ? 1 : 0, workers };
  }

  get #isEnding(): boolean {
    return this.#drainMs !== undefined;
  }

  /** From now on connections are accepted, and spares are kept. */
  #open(): void {
    const { accept, spares } = this.#current.hosting;
    this.#isOpen = true;
    const acceptor = accept?.({
      serve: (connection) => this.give(connection),
      onCrowded: this.shed,
      usesCredits: true,
    });
    this.#acceptor = acceptor;
    if (acceptor) {
      this.#tellCredits = (count) => {
        acceptor.credits = count;
      };
      acceptor.start();
    }
    this.#spares.keep(spares);
  }

  #close(): void {
    this.#isOpen = false;
    this.#acceptor?.close();
    this.#acceptor = undefined;
  }

  /**
   * A worker that has loaded the app and found it ready: what cannot be loaded should be known before the first client
   * comes. @throws StartupError
   */
  async #startFirst(generation: Generation, warmsUp: boolean): Promise<Worker> {
    const worker = await boot(() => {
      this.#first = this.#start(generation, { warmsUp, isKnownReady: false });
      return this.#first;
    });
    this.#first = undefined;
    return worker;
  }

  /** Settles when the worker that has served the connection has exited. Never rejects. */
  async #serve(connection: IncomingConnection): Promise<void> {
    const { reports, migrationChannel } = this.#current.hosting;
    let reason = 'the server is stopping';
    try {
      for (let tried = 0; tried < maxTries && !this.#isEnding; ) {
        let worker: Worker | undefined;
        try {
          worker = this.#spares.take(connection.isMigrated) ?? (await this.#startInTurn());
          if (!worker) break; // the server is stopping
        } catch (error) {
          reason = (error as Error).message;
          tried++;
          await pause(refusedRetryMs);
          continue;
        }
        const given = await this.#hand(connection, worker);
        if (given !== 'refused') connection.close(); // our copy
        const { isWanted } = await worker.exit;
        if (given !== 'refused') return;
        if (!isWanted) tried++; // otherwise a reload has replaced it before it had the connection
        reason = await worker.ready.then(
          () => 'its worker ended before it took the connection',
          (error: Error) => error.message,
        );
      }
      if (await migrateUnserved(connection, migrationChannel, () => this.#migrates)) return;
    } catch (error) {
      connection.close();
      reason = (error as Error).message;
    }
    reports.connectionLost(reason);
  }

  /** Ends the worker that gets no connection. @throws Error */
  async #hand(connection: IncomingConnection, worker: Worker): Promise<Given> {
    const dismiss = (): void => worker.drain(this.#current.hosting.drainMs);
    try {
      const given = await worker.give(connection);
      if (given === 'gone') dismiss();
      return given;
    } catch (error) {
      dismiss();
      throw error;
    }
  }

  /** @returns undefined when the server has begun to stop meanwhile. @throws StartupError */
  async #startInTurn(): Promise<Worker | undefined> {
    if (!this.#current.hosting.limitsStarts) return this.#start(this.#current);
    await this.#starts.turn();
    if (this.#isEnding) {
      this.#starts.ended();
      return undefined;
    }
    const since = now();
    try {
      const worker = this.#start(this.#current);
      const ended = () => {
        const { wantedCpuMs } = worker;
        this.#starts.ended(wantedCpuMs && wantedCpuMs / (now() - since));
      };
      worker.ready.then(ended, ended);
      return worker;
    } catch (error) {
      this.#starts.ended();
      throw error;
    }
  }

  /** New connections, and some of the kept-alive ones, have workers of the new generation while `trial` lasts. */
  async #try(trial: Trial, old: readonly Worker[], before: Generation): Promise<void> {
    const { receives } = this.#policy;
    this.setMigration({ receives: true });
    const rebalancing = setInterval(() => {
      const rebalance = Math.min(1, rebalanceCount / old.length);
      for (const worker of old) worker.setMigration({ send: { rebalance } });
    }, rebalanceEveryMs);
    try {
      await trial();
    } catch (error) {
      const failed = [...this.#workers].filter(({ generation }) => generation > before.number);
      this.#spares.dismiss();
      this.#current = before;
      this.#retire(failed, before.hosting.drainMs);
      throw error;
    } finally {
      clearInterval(rebalancing);
      this.setMigration({ receives });
    }
  }

  /** Their connections migrate to workers of the generation that serves. */
  #retire(workers: readonly Worker[], ms: number): void {
    for (const worker of workers) {
      if (worker.stage === 'gone') continue;
      if (!this.#leaving.has(worker)) this.#leaving.set(worker, now() + ms * urgentAfterShare);
      worker.drain(ms, this.#policy.send !== 'off');
      void worker.exit.then(() => {
        this.#leaving.delete(worker);
        this.#expect();
      });
    }
    this.#expect();
  }

  /** Has spares ready for the connections that are about to migrate here: of workers that leave, or from elsewhere. */
  #expect(): void {
    const { drainMs } = this.#current.hosting;
    const from = this.#receivesUrgentlyFrom ?? now() + drainMs * urgentAfterShare;
    this.#receivesUrgentlyFrom = this.#policy.receives ? from : undefined;
    const urgent = [...(this.#policy.receives ? [from] : []), ...this.#leaving.values()];
    this.#spares.expect(urgent.length > 0 ? Math.min(...urgent) : undefined);
  }

  #start({ number: generation, hosting }: Generation, { warmsUp = false, isKnownReady = true } = {}): Worker {
    const since = now();
    const worker = hosting.startWorker({ id: ++this.#count, generation, warmsUp, isKnownReady });
    this.#workers.add(worker);
    if (this.#policy.send === 'off') worker.setMigration({ send: 'off' });
    worker.ready.then(
      () => this.#spares.started(now() - since),
      () => {},
    );
    void worker.exit.then((exit) => {
      this.#workers.delete(worker);
      this.#answeredByTheGone += worker.answered;
      this.#spares.ended(worker, exit.livedMs);
      if (exit.isWanted || exit.code === 0 || worker === this.#first) return;
      hosting.reports.died(worker, exit, undefined);
    });
    return worker;
  }
}
