// A worker for each connection: the host accepts, starts a worker or takes a spare one, and hands the connection over; the
// worker serves it and exits. Where it comes from: the classic UNIX server, CERN httpd. Best isolation, dearest connection.
// Secondary servers of the app are served by one worker that gets no connection and stays.
import { setTimeout as wait } from 'node:timers/promises';
import { BackOff } from '../back-off.js';
import { shedder } from '../balance/shedder.js';
import { now } from '../clock.js';
import type { IncomingConnection } from '../connection/incoming.js';
import type { EndReason } from '../reports/exit-cause.js';
import type { SecondaryRole } from '../secondary/address.js';
import type { Given } from '../worker/hand-over.js';
import type { Worker } from '../worker/worker.js';
import { BaseStrategy, refusedRetryMs } from './base.js';
import { boot } from './boot.js';
import { Spares, urgentAfterShare } from './spares.js';
import { StartLimiter } from './start-limiter.js';
import type { Health, Hosting, Strategy } from './strategy.js';

/** A connection whose worker could not be started, or died before it took it, goes to another; this often in all. */
const maxTries = 3;

export class PerConnection extends BaseStrategy implements Strategy {
  /** Workers that have no connection yet. */
  readonly #spares: Spares<Worker>;
  readonly #starts = new StartLimiter();
  /** The first worker, while it starts. */
  #first: Worker | undefined;
  /** The worker whose secondary servers accept, if the app has any; while there is none, another one is about to start. */
  #resident: Worker | undefined;
  #hasSecondary = false;
  readonly #residentBackOff = new BackOff();
  #residentRetry: NodeJS.Timeout | undefined;
  /** Serves clients, or will when it has started. */
  #isOpen = false;
  /** Connections are about to migrate here; from then on that is urgent. */
  #urgentFrom: number | undefined;
  /** Until no worker has died for the time of the probation. */
  #probation: NodeJS.Timeout | undefined;
  #tellCredits = (_: number): void => {};
  #count = 0;
  /** The last worker of which something is known has died, or could not start. */
  #isFailing = false;

  /** @param generation of its workers */
  constructor(hosting: Hosting, generation: number) {
    super(hosting, generation);
    this.#spares = new Spares({
      start: () => this.#start(true),
      dismiss: (worker) => this.#dismiss(worker),
      isReady: ({ stage }) => stage === 'ready',
      starting: () => this.inStage('starting').length,
      onCredits: (count) => this.#tellCredits(count),
    });
  }

  /** The first worker finds the app ready: what cannot be loaded should be known before the first client comes. */
  async start(isHeld = false): Promise<void> {
    const first = await boot(() => {
      this.#first = this.#start(this.policy.receives, false, 'all', isHeld);
      this.#resident = this.#first;
      return this.#first;
    });
    this.#first = undefined;
    if (this.isEnding) return;
    if (!this.#hasSecondary) {
      this.#resident = undefined;
      this.#spares.add(first);
    }
    if (isHeld) return;
    try {
      this.open();
    } catch (error) {
      this.kill();
      throw error;
    }
  }

  /** Calls `told` with the number of migrated connections that could be served at once. */
  onCredits(told: (count: number) => void): void {
    this.#tellCredits = told;
    this.#spares.refill();
  }

  /** Closes the connections of the slowest clients. */
  readonly shed = shedder(() => this.workers);

  /** The host accepts. */
  override async acceptNoMore(): Promise<void> {}

  async resize(workers: number): Promise<void> {
    if (workers > 0) {
      if (!this.#isOpen) this.open();
      return;
    }
    this.pause();
    this.closeAcceptor();
    for (const worker of this.workers) this.#dismiss(worker, 'drain');
  }

  protected get size(): number {
    return this.#isOpen ? 1 : 0;
  }

  get health(): Health {
    return this.#isOpen && this.#isFailing ? 'down' : 'serving';
  }

  protected pause(): void {
    this.#isOpen = false;
    clearTimeout(this.#residentRetry);
    clearTimeout(this.#probation);
    this.#probation = undefined;
    this.#spares.close();
    if (this.isOver) this.#starts.close();
  }

  /** Has spares ready for the connections that are about to migrate here. */
  protected tellReceivers(): void {
    this.coverQueues();
    const urgentFrom = this.#urgentFrom ?? now() + this.hosting.drainMs * urgentAfterShare;
    this.#urgentFrom = this.policy.receives ? urgentFrom : undefined;
    this.#spares.expect(this.#urgentFrom);
  }

  /** The connection has ended when the worker that has served it has exited. */
  protected async place(connection: IncomingConnection): Promise<Given> {
    let reason = '';
    for (let tried = 0; tried < maxTries; ) {
      if (this.isOver) return 'refused';
      let worker: Worker | undefined;
      try {
        worker = this.#spares.take(connection.facts.isMigrated) ?? (await this.#startInTurn());
      } catch (error) {
        reason = (error as Error).message;
        tried++;
        await wait(refusedRetryMs);
      }
      if (!worker) continue;
      const given = await worker.give(connection).catch((error) => {
        this.#dismiss(worker);
        throw error;
      });
      if (typeof given === 'object') {
        if (this.isEnding) this.drainWorker(worker);
        return { ended: worker.exit.then(() => given.ended) };
      }
      if (given === 'gone') {
        connection.close();
        this.#dismiss(worker);
      }
      const { isWanted } = await worker.exit;
      if (given === 'gone') return given;
      if (!isWanted) tried++; // otherwise it has been told to end before it had the connection
      reason = await worker.ready.then(
        () => 'its worker ended before it took the connection',
        (error: Error) => error.message,
      );
    }
    throw new Error(reason);
  }

  /** From now on connections are accepted, and spares are kept. */
  open(): void {
    const acceptor = this.openAcceptor({ usesCredits: true });
    this.#isOpen = true;
    for (const worker of this.workers) worker.open();
    this.#keepResident();
    this.#urgentFrom = undefined; // the migration begins now, however long the start took
    this.tellReceivers();
    if (acceptor) {
      this.#tellCredits = (count) => {
        acceptor.credits = count;
      };
    }
    const { spares, probationMs } = this.hosting;
    this.#spares.keep(probationMs > 0 ? Math.max(1, spares) : spares);
    this.#probation = setTimeout(() => {
      if (this.#isFailing) return;
      this.#probation = undefined;
      this.#spares.keep(spares);
    }, probationMs).unref();
  }

  /** One that has its connection ends with it anyway. */
  protected replaceClosed(worker: Worker): void {
    if (worker.active === 0) this.hosting.listener.serverClosed(worker, undefined);
    this.#dismiss(worker, 'server-closed');
  }

  #dismiss(worker: Worker, reason: EndReason = 'unused'): void {
    worker.drain(this.hosting.drainMs, reason);
  }

  /** @returns undefined when no worker may start any more. @throws StartupError */
  async #startInTurn(): Promise<Worker | undefined> {
    if (!this.hosting.limitsStarts) return this.#start();
    await this.#starts.turn();
    const since = now();
    let worker: Worker | undefined;
    const ended = (): void => {
      const wantedMs = worker?.wantedCpuMs;
      this.#starts.ended(wantedMs && wantedMs / (now() - since));
    };
    try {
      if (!this.isOver) worker = this.#start();
      return worker;
    } finally {
      if (worker) worker.ready.then(ended, ended);
      else ended();
    }
  }

  /** Has one worker serve the secondary servers, if the app has any. */
  #keepResident(): void {
    if (!this.#hasSecondary || this.#resident || !this.#isOpen) return;
    try {
      this.#resident = this.#start(false, true, 'all');
    } catch {
      this.#startResidentIn(refusedRetryMs);
    }
  }

  #startResidentIn(ms: number): void {
    clearTimeout(this.#residentRetry);
    this.#residentRetry = setTimeout(() => this.#keepResident(), ms);
  }

  #start(warmsUp = false, isKnownReady = true, secondary: SecondaryRole = 'none', isHeld = false): Worker {
    const since = now();
    const worker = this.startWorker({
      id: ++this.#count,
      generation: this.generation,
      warmsUp,
      isKnownReady,
      isHeld,
      secondary,
    });
    void worker.hasSecondary.then(() => {
      this.#hasSecondary = true;
      this.#keepResident();
    });
    worker.ready.then(
      () => {
        if (this.#isFailing) this.#probation?.refresh();
        this.#isFailing = false;
        this.#spares.started(now() - since);
      },
      () => {},
    );
    void worker.exit.then((exit) => {
      this.#spares.ended(worker, exit.livedMs);
      if (worker === this.#resident) {
        this.#resident = undefined;
        if (worker !== this.#first) this.#startResidentIn(this.#residentBackOff.died(exit.livedMs));
      }
      if (exit.isWanted || exit.code === 0 || worker === this.#first) return;
      this.#isFailing = this.inStage('ready').every((one) => one === this.#resident);
      this.#probation?.refresh();
      this.hosting.listener.died(worker, exit, undefined);
    });
    return worker;
  }
}
