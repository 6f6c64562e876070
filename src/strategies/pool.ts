// A pool of workers that are started ahead. One function compares the workers that are wanted with those that there are,
// and starts, replaces and ends them accordingly: after a crash, a reload, a scaling or a recycling.
import { BackOff } from '../back-off.js';
import { type Balancer, responsive } from '../balance/balancer.js';
import { createBalancer } from '../balance/index.js';
import { Sessions } from '../balance/sessions.js';
import { now, within } from '../clock.js';
import type { IncomingConnection } from '../connection/incoming.js';
import type { EndReason } from '../reports/exit-cause.js';
import { Recycler } from '../scaling/recycler.js';
import { Scaler, sampleIntervalMs } from '../scaling/scaler.js';
import type { Given } from '../worker/hand-over.js';
import type { StartOptions } from '../worker/runtime.js';
import type { Exit, Worker } from '../worker/worker.js';
import { BaseStrategy, refusedRetryMs } from './base.js';
import { boot } from './boot.js';
import { freeId, loadOf, type Place, vacancy } from './place.js';
import { type Health, type Hosting, type OnProgress, type Strategy, settleMs } from './strategy.js';
import { FailedTrial, notRolledBack, type Trial, tryBeside } from './trial.js';
import { WaitingLine } from './waiting-line.js';

/** When a start has failed, the others have this long until the host ends (milliseconds). */
const othersBootMs = 1000;
/** After the pool could not grow (milliseconds). */
const growRetryMs = 10_000;
/** Between two looks for workers that do not come to their connections (milliseconds). */
const revokeEveryMs = 250;

export class Pool extends BaseStrategy implements Strategy {
  readonly #places: Place[] = [];
  #wanted: number;
  /** Its workers get no connections yet. */
  #isHeld = false;
  /** A worker of the next generation serves beside the others. */
  #hasTrial = false;
  #balance: Balancer;
  readonly #sessions: Sessions | undefined;
  #recycler: Recycler<Worker>;
  #scaler: Scaler | undefined;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #line = new WaitingLine();
  /** Settles when nothing is being changed. */
  #changing: Promise<unknown> = Promise.resolve();
  #changes = 0;
  /** When it may grow again, after it could not. */
  #growFrom = 0;

  /** @param generation of the first workers */
  constructor(hosting: Hosting, generation: number) {
    super(hosting, generation);
    this.#wanted = inRange(hosting.size ?? hosting.workers, hosting);
    for (let id = 1; id <= this.#wanted; id++) this.#places.push(vacancy(id));
    this.#balance = createBalancer(hosting.placing);
    this.#sessions = hosting.sessions
      ? new Sessions((count) => this.hosting.listener.sessionsPlacedAgain(count), hosting.sessions.by !== 'ip')
      : undefined;
    this.#recycler = this.#makeRecycler();
    this.#scaler = hosting.range && new Scaler(hosting.range);
  }

  async start(isHeld = false): Promise<void> {
    this.#isHeld = isHeld;
    const booting = this.#places.map(async (place) => {
      const worker = await boot(() => {
        place.next = this.#startFor(place, this.policy.receives);
        return place.next;
      });
      await this.#occupy(place, worker);
    });
    try {
      await Promise.all(booting);
      if (!this.isEnding && !isHeld) this.#keepUp();
    } catch (error) {
      this.isEnding = true;
      const settled = Promise.allSettled(booting);
      if (this.hosting.endsWithHost) await within(othersBootMs, settled);
      else {
        this.kill();
        await settled;
      }
      throw error;
    }
  }

  open(): void {
    this.#isHeld = false;
    for (const worker of this.workers) worker.open();
    this.#wake();
    this.#keepUp();
  }

  protected async place(connection: IncomingConnection): Promise<Given> {
    const { session } = connection.facts;
    const settling = session !== undefined && this.#sessions?.settle(session);
    if (settling) {
      this.settling.add(settling);
      await settling;
      this.settling.delete(settling);
    }
    if (!this.#line.isEmpty && !this.isEnding) await this.#line.join();
    try {
      return await this.#placeInTurn(connection);
    } catch (error) {
      this.#line.next(); // those behind it would wait for it
      throw error;
    }
  }

  async #placeInTurn(connection: IncomingConnection): Promise<Given> {
    const { session } = connection.facts;
    for (;;) {
      const choose = () => this.#choose(connection);
      const worker = this.#sessions ? this.#sessions.place(session, this.ready, choose) : choose();
      if (worker) {
        const giving = worker.give(connection);
        this.#line.next();
        const given = await giving;
        this.#line.next(); // the worker has come to it
        if (given !== 'refused') return given;
        if (this.isEnding) continue; // the line has ended
      } else if (this.isEnding) return 'refused';
      if (this.ready.length > 0) this.#line.nextSoon();
      await this.#line.rejoin();
    }
  }

  /** By the policy of --balance. */
  #choose(connection: IncomingConnection): Worker | undefined {
    const worker = this.#balance(responsive(this.ready), connection);
    if (worker) this.hosting.listener.placed?.(this.hosting.placing.balance);
    return worker;
  }

  protected override startWorker(options: StartOptions, hosting?: Hosting): Worker {
    const worker = super.startWorker(options, hosting);
    worker.onSession = (session) => this.#sessions?.begin(session, worker);
    return worker;
  }

  /** Workers that can serve. */
  get ready(): Worker[] {
    return this.inStage('ready').filter(({ isHeld }) => !isHeld);
  }

  /** For the recycler. */
  get ending(): boolean {
    return this.isEnding;
  }

  replaceAll(next: Hosting, onProgress: OnProgress, trial?: Trial): Promise<void> {
    return this.#alone(async () => {
      const { hosting, generation } = this;
      const wanted = this.#wanted;
      try {
        await this.#replaceEach(next, onProgress, trial);
        // A number that an operator has set since the start stays, unless another one is configured now.
        const isOther = next.workers !== hosting.workers || wanted === 0;
        await this.#resize(inRange(isOther ? next.workers : wanted, next));
        if (!this.isEnding) await trial?.after();
      } catch (error) {
        if (!this.isEnding && this.generation !== generation) await this.#rollBack(hosting, generation, wanted, error);
        throw error;
      }
    });
  }

  resize(workers: number, trial?: Trial): Promise<void> {
    return this.#alone(async () => {
      const before = this.#wanted;
      try {
        await this.#resize(workers, trial);
      } catch (error) {
        if (!this.isEnding) await this.#resize(before); // what could be added goes again
        throw error;
      }
    });
  }

  /** For the recycler: replaces a worker by one of the same generation. @returns false when its place has been given up */
  async recycle(worker: Worker): Promise<boolean> {
    const place = this.#places.find((one) => one.worker === worker);
    if (!place || place.change || this.isEnding) return false;
    return this.#change(place, 'recycled', () => this.#startFor(place, true));
  }

  setPlacing(hosting: Hosting): void {
    this.hosting = hosting;
    this.#balance = createBalancer(hosting.placing);
    for (const worker of this.workers) worker.setPlacing(hosting.placing);
  }

  shed(): void {
    for (const worker of this.ready) worker.shed();
  }

  protected get size(): number {
    return this.#wanted;
  }

  get health(): Health {
    if (this.#wanted > 0 && this.ready.length === 0) return 'down';
    // A place that has no worker yet, because it has been added, is not missed.
    return this.#places.some(({ worker, change }) => !worker && !change) ? 'degraded' : 'serving';
  }

  protected pause(): void {
    this.#recycler.stop();
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    if (!this.isEnding) return;
    for (const place of this.#places) clearTimeout(place.retry);
    this.#wake();
  }

  protected tellReceivers(): void {
    this.coverQueues();
    for (const worker of this.ready) worker.setMigration({ receives: this.#receives, send: this.policy.send });
  }

  /**
   * Compares what is wanted with what there is: gives up places that are too many, adds those that are missing, and
   * starts a worker in each place that has none, or from which an operation wants another.
   */
  #reconcile(): void {
    if (this.isEnding) return;
    // With the same load, as where it is not measured, the newest places go.
    const byLoad = [...this.#places].sort((a, b) => loadOf(b) - loadOf(a) || a.id - b.id);
    for (const place of byLoad.slice(this.#wanted)) this.#giveUp(place);
    while (this.#places.length < this.#wanted) this.#places.push(vacancy(freeId(this.#places)));
    this.#places.sort((a, b) => a.id - b.id);
    for (const place of this.#places) {
      const isWanted = !place.worker || place.change !== undefined;
      if (isWanted && !place.next && !place.retry) this.#startNext(place);
    }
  }

  /** Its worker is ended gracefully, and one that starts is not waited for. */
  #giveUp(place: Place): void {
    if (!this.#places.includes(place)) return;
    this.#places.splice(this.#places.indexOf(place), 1);
    const { worker } = place;
    place.worker = undefined;
    if (worker) this.#retire(worker, this.#wanted === 0 ? 'drain' : 'scale-down');
    this.#cancel(place);
  }

  #startNext(place: Place): void {
    const { change } = place;
    try {
      const next = change ? change.start() : this.#startFor(place, this.#receives);
      place.next = next;
      next.ready.then(
        () => this.#occupy(place, next),
        (error: Error) => this.#failed(place, next, error),
      );
    } catch (error) {
      const delay = change ? 0 : Math.max(refusedRetryMs, place.backOff.died(0));
      this.#unfit(place, undefined, error as Error, delay);
    }
  }

  /** `next` is ready: it takes the place, and the worker that had it leaves. */
  async #occupy(place: Place, next: Worker): Promise<void> {
    const { change } = place;
    if (place.next !== next) return; // the place was given up
    try {
      await change?.approve(next);
    } catch (error) {
      if (place.next === next) place.next = undefined;
      place.change = undefined;
      this.#retire(next, 'rollback');
      change?.fail(error as Error);
      return this.#reconcile(); // the worker that has the place may have died meanwhile
    }
    if (place.next !== next) return;
    const old = place.worker;
    place.next = undefined;
    place.worker = next;
    if (change) {
      place.change = undefined;
      place.backOff = new BackOff();
    }
    void next.exit.then((exit) => this.#ended(place, next, exit));
    if (old) this.#retire(old, change?.reason ?? 'reload');
    this.#wake();
    change?.settle(true);
  }

  /** `next` cannot be ready. */
  async #failed(place: Place, next: Worker, error: Error): Promise<void> {
    await next.exit;
    if (place.next !== next) return;
    place.next = undefined;
    if (this.isEnding) return place.change?.fail(error);
    this.#unfit(place, next, error, place.change ? 0 : place.backOff.died(0));
  }

  #unfit(place: Place, worker: Worker | undefined, error: Error, delay: number): void {
    const { change } = place;
    place.change = undefined;
    if (change) {
      change.fail(error);
      this.#reconcile(); // its worker may have died meanwhile
      return;
    }
    this.hosting.listener.unfit(place.id, worker, error, delay);
    this.#retryIn(place, delay);
  }

  /** The worker of a place has ended. */
  #ended(place: Place, worker: Worker, exit: Exit): void {
    if (place.worker !== worker) return; // it has been replaced
    place.worker = undefined;
    if (this.isEnding) {
      if (!exit.isWanted) this.hosting.listener.died(worker, exit, undefined);
      return;
    }
    const delay = place.backOff.died(exit.livedMs);
    this.hosting.listener.died(worker, exit, delay);
    this.#retryIn(place, delay);
  }

  protected replaceClosed(worker: Worker): void {
    const place = this.#places.find((one) => one.worker === worker);
    const delay = place?.backOff.died(worker.readyMs ?? 0);
    this.hosting.listener.serverClosed(worker, delay);
    this.#retire(worker, 'server-closed');
    if (!place || delay === undefined) return; // it is on trial, which fails when it has ended
    place.worker = undefined;
    this.#retryIn(place, delay);
  }

  #retryIn(place: Place, ms: number): void {
    if (!this.#places.includes(place)) return;
    clearTimeout(place.retry);
    place.retry = setTimeout(() => {
      place.retry = undefined;
      this.#reconcile();
    }, ms);
  }

  /** Its connections go to the others, or are finished. */
  #retire(worker: Worker, reason: EndReason): void {
    if (worker.stage === 'gone') return;
    worker.drain(this.hosting.drainMs, reason, this.#wanted > 0);
    this.tellReceivers();
    void worker.exit.then(() => this.tellReceivers());
  }

  /** Starts no worker there any more. */
  #cancel(place: Place): void {
    clearTimeout(place.retry);
    place.retry = undefined;
    if (place.next) this.#retire(place.next, 'unused');
    place.next = undefined;
    place.change?.settle(false);
    place.change = undefined;
  }

  /** Starts a new worker in the place. @returns false when the place was given up meanwhile. @throws Error */
  #change(place: Place, reason: EndReason, start: () => Worker, approve = async (_: Worker) => {}): Promise<boolean> {
    this.#cancel(place); // what starts would be of another generation
    return new Promise((settle, fail) => {
      place.change = { reason, start, approve, settle, fail };
      this.#reconcile();
    });
  }

  /** Has the workers of `next` take the places, one after another. */
  async #replaceEach(next: Hosting, onProgress: OnProgress, trial: Trial | undefined): Promise<void> {
    const generation = this.generation + 1;
    const all = this.#places.length;
    for (const [replaced, place] of [...this.#places].entries()) {
      if (this.isEnding) return;
      const isHeld = trial !== undefined && replaced === 0;
      const start = () =>
        this.startWorker(
          { id: place.id, generation, warmsUp: true, isKnownReady: false, isHeld, secondary: next.secondary },
          next,
        );
      const replacing = this.#change(place, 'reload', start, async (worker) => {
        if (isHeld) await this.#try(worker, trial);
        this.#adopt(next, generation);
      });
      await (trial ? Promise.race([replacing, trial.failed]) : replacing);
      onProgress(replaced + 1, all);
    }
    this.#adopt(next, generation);
    if (next.awaitsExits) await within(settleMs, Promise.all(this.inStage('draining').map(({ exit }) => exit)));
  }

  /** From now on workers that die are replaced by those of this generation. */
  #adopt(hosting: Hosting, generation: number): void {
    if (this.generation === generation) return;
    this.hosting = hosting;
    this.generation = generation;
    this.pause();
    this.#balance = createBalancer(hosting.placing);
    this.#recycler = this.#makeRecycler();
    this.#scaler = hosting.range && new Scaler(hosting.range);
  }

  /** Starts what has been replaced of this generation again, all at once. @throws Error that names both reasons */
  async #rollBack(hosting: Hosting, generation: number, wanted: number, reason: unknown): Promise<void> {
    for (const place of this.#places) this.#cancel(place);
    this.#adopt(hosting, generation);
    this.#wanted = wanted;
    const others = this.#places.filter(({ worker }) => worker?.generation !== generation);
    const changes = others.map((place) => this.#change(place, 'rollback', () => this.#startFor(place, true)));
    const outcomes: PromiseSettledResult<unknown>[] = await Promise.allSettled(changes);
    outcomes.push(...(await Promise.allSettled([this.#resize(wanted)])));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw notRolledBack(reason, outcome.reason);
  }

  /** Whatever comes of it, the workers that there are are kept up. */
  async #resize(workers: number, trial?: Trial): Promise<void> {
    if (workers === 0) {
      this.pause();
      this.closeAcceptor();
    }
    const { ready } = this;
    const before = this.#places.length;
    this.#wanted = Math.min(before, workers);
    const added: Promise<boolean>[] = [];
    while (this.#places.length < workers) {
      this.#wanted++; // one at a time: a place that is missing would be added as a vacancy, which nothing waits for
      const place = vacancy(freeId(this.#places));
      this.#places.push(place);
      added.push(
        this.#change(
          place,
          'reload',
          () => this.#startFor(place, true, trial !== undefined),
          trial && ((worker) => this.#try(worker, trial)),
        ).catch((error) => {
          this.#wanted--;
          this.#giveUp(place);
          throw error;
        }),
      );
    }
    this.#reconcile();
    try {
      const outcomes = await Promise.allSettled(added);
      // Kept-alive connections would otherwise stay with the workers that had them all.
      if (added.length > 0) for (const one of ready) one.setMigration({ send: { rebalance: 1 - before / workers } });
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    } finally {
      if (this.#wanted > 0 && !this.isEnding) this.#keepUp();
    }
    // A client that comes afterwards meets no worker that leaves.
    await within(settleMs, this.acceptNoMore());
  }

  /** Has it pass the trial until it may take its place. @throws what the trial throws, or that it has ended */
  async #try(worker: Worker, trial: Trial): Promise<void> {
    const ended = worker.exit.then(({ reason }) => {
      throw new FailedTrial(`a worker died: ${reason}`);
    });
    await Promise.race([trial.before(), ended]);
    worker.open();
    this.#hasTrial = true;
    this.tellReceivers();
    const rebalance = (): void => {
      const { ready } = this;
      for (const one of ready) if (one !== worker) one.setMigration({ send: { rebalance: 1 / ready.length } });
    };
    try {
      await Promise.race([tryBeside(trial, rebalance), ended]);
    } finally {
      this.#hasTrial = false;
      this.tellReceivers();
    }
  }

  #startFor({ id }: Place, warmsUp: boolean, isHeld = this.#isHeld): Worker {
    const { generation } = this;
    const { secondary } = this.hosting;
    return this.startWorker({ id, generation, warmsUp, isKnownReady: false, isHeld, secondary });
  }

  /** Connections are about to migrate to its workers. */
  get #receives(): boolean {
    return this.policy.receives || this.#hasTrial || this.inStage('draining').length > 0;
  }

  /** A worker is ready, or none will be any more. */
  #wake(): void {
    this.tellReceivers();
    if (this.isEnding) this.#line.end();
    else this.#line.next();
  }

  /** From now on it serves, and sees to it that it can. */
  #keepUp(): void {
    this.pause();
    this.#recycler.start();
    this.openAcceptor({});
    if (this.#scaler) this.#timers.push(setInterval(() => this.#scale(), sampleIntervalMs));
    if (this.hosting.revokes) this.#timers.push(setInterval(() => this.#revoke(), revokeEveryMs));
  }

  /** Has the load decide how many workers there are. */
  #scale(): void {
    if (this.#changes > 0 || this.isEnding || now() < this.#growFrom) return;
    const from = this.#wanted;
    const decision = this.#scaler?.decide(this.ready, from, now());
    if (!decision) return;
    const { size, reason } = decision;
    const { listener } = this.hosting;
    const scaled = this.#alone(() => this.#resize(size)).catch(({ message }: Error) => {
      if (this.isEnding) return;
      this.#growFrom = now() + growRetryMs;
      listener.scaleFailed?.(message);
    });
    void scaled.then(() => {
      if (this.#wanted !== from && !this.isEnding) listener.scaled(from, this.#wanted, reason);
    });
  }

  /** Connections that a worker does not come to go to others, if there are any that do. */
  #revoke(): void {
    const { ready } = this;
    if (ready.every(({ isUnresponsive }) => isUnresponsive)) return;
    for (const worker of ready) if (worker.isUnresponsive) worker.revoke();
  }

  /** Changes the pool while nothing else does. */
  #alone<T>(change: () => Promise<T>): Promise<T> {
    this.#changes++;
    const outcome = this.#changing.then(change).finally(() => this.#changes--);
    this.#changing = outcome.catch(() => {}); // its caller is told
    return outcome;
  }

  #makeRecycler(): Recycler<Worker> {
    const { listener, recycle } = this.hosting;
    return new Recycler(this, recycle, listener);
  }
}

/** The size, or the nearest one in the range in which the pool scales. */
function inRange(size: number, { range }: Hosting): number {
  return range ? Math.min(range.max, Math.max(range.min, size)) : size;
}
