// A pool of workers that are started ahead, each in one of its places. Operators and the load change their number, and
// reloads replace them.
import { within } from '../clock.js';
import type { IncomingConnection } from '../connection/incoming.js';
import type { EndReason } from '../reports/exit-cause.js';
import type { Given } from '../worker/hand-over.js';
import type { StartOptions } from '../worker/runtime.js';
import type { Worker } from '../worker/worker.js';
import { BaseStrategy } from './base.js';
import { Dispatcher } from './dispatcher.js';
import type { Place } from './place.js';
import { Places } from './places.js';
import { type Health, type Hosting, type OnProgress, type Strategy, settleMs } from './strategy.js';
import { FailedTrial, notRolledBack, type Trial, tryBeside } from './trial.js';
import { type KeptPool, Upkeep } from './upkeep.js';

/** When a start has failed, the others have this long until the host ends (milliseconds). */
const othersBootMs = 1000;

export class Pool extends BaseStrategy implements Strategy, KeptPool {
  readonly #places: Places;
  readonly #dispatcher: Dispatcher;
  readonly #upkeep: Upkeep;
  /** Its workers get no connections yet. */
  #isHeld = false;
  /** A worker of the next generation serves beside the others. */
  #hasTrial = false;
  /** Settles when nothing is being changed. */
  #changing: Promise<unknown> = Promise.resolve();
  #changes = 0;

  /** @param generation of the first workers */
  constructor(hosting: Hosting, generation: number) {
    super(hosting, generation);
    this.#places = new Places(inRange(hosting.size ?? hosting.workers, hosting), {
      isEnding: () => this.isEnding,
      listener: () => this.hosting.listener,
      start: (place) => this.#startFor(place, this.#receives),
      retire: (worker, reason) => this.#retire(worker, reason),
      occupied: () => this.#wake(),
    });
    this.#dispatcher = new Dispatcher({
      hosting,
      ready: () => this.ready,
      isEnding: () => this.isEnding,
      settling: this.settling,
    });
    this.#upkeep = new Upkeep(this, hosting);
  }

  async start(isHeld = false): Promise<void> {
    this.#isHeld = isHeld;
    const booting = this.#places.boot((place) => this.#startFor(place, this.policy.receives));
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

  protected place(connection: IncomingConnection): Promise<Given> {
    return this.#dispatcher.place(connection);
  }

  protected override startWorker(options: StartOptions, hosting?: Hosting): Worker {
    const worker = super.startWorker(options, hosting);
    worker.onSession = (session) => this.#dispatcher.sessionBegan(session, worker);
    return worker;
  }

  replaceAll(next: Hosting, onProgress: OnProgress, trial?: Trial): Promise<void> {
    return this.#alone(async () => {
      const { hosting, generation } = this;
      const wanted = this.size;
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
      const before = this.size;
      try {
        await this.#resize(workers, trial);
      } catch (error) {
        if (!this.isEnding) await this.#resize(before); // what could be added goes again
        throw error;
      }
    });
  }

  async replaceOne(worker: Worker, reason: EndReason, killMs?: number): Promise<boolean> {
    const place = this.#places.of(worker);
    const mayChange = place && !place.change && !this.isEnding;
    const replaced = mayChange ? this.#places.change(place, reason, () => this.#startFor(place, true)) : false;
    if (killMs !== undefined) setTimeout(() => worker.kill(reason), killMs);
    return replaced;
  }

  use(hosting: Hosting): void {
    this.hosting = hosting;
    this.#dispatcher.use(hosting);
    const isKeptUp = this.#upkeep.isRunning;
    this.#upkeep.stop();
    this.#upkeep.use(hosting);
    if (isKeptUp) this.#upkeep.start();
    for (const worker of this.workers) worker.setPlacing(hosting.placing);
  }

  shed(): void {
    for (const worker of this.ready) worker.shed();
  }

  get health(): Health {
    if (this.size > 0 && this.ready.length === 0) return 'down';
    return this.#places.missesWorkers ? 'degraded' : 'serving';
  }

  // As `KeptPool`, for its upkeep.

  get ready(): Worker[] {
    return this.inStage('ready').filter(({ isHeld }) => !isHeld);
  }

  get ending(): boolean {
    return this.isEnding;
  }

  get isChanging(): boolean {
    return this.#changes > 0;
  }

  get size(): number {
    return this.#places.wanted;
  }

  recycle(worker: Worker): Promise<boolean> {
    return this.replaceOne(worker, 'recycled');
  }

  scale(workers: number): Promise<void> {
    return this.#alone(() => this.#resize(workers));
  }

  protected pause(): void {
    this.#upkeep.stop();
    if (!this.isEnding) return;
    this.#places.end();
    this.#wake();
  }

  protected tellReceivers(): void {
    this.coverQueues();
    for (const worker of this.ready) worker.setMigration({ receives: this.#receives, send: this.policy.send });
  }

  protected replaceClosed(worker: Worker): void {
    this.#places.serverClosed(worker);
  }

  /** Its connections go to the others, or are finished. */
  #retire(worker: Worker, reason: EndReason): void {
    if (worker.stage === 'gone') return;
    worker.drain(this.hosting.drainMs, reason, this.size > 0);
    this.tellReceivers();
    void worker.exit.then(() => this.tellReceivers());
  }

  /** Has the workers of `next` take the places, one after another. */
  async #replaceEach(next: Hosting, onProgress: OnProgress, trial: Trial | undefined): Promise<void> {
    const generation = this.generation + 1;
    const places = [...this.#places.all];
    for (const [replaced, place] of places.entries()) {
      if (this.isEnding) return;
      const isHeld = trial !== undefined && replaced === 0;
      const start = () =>
        this.startWorker(
          { id: place.id, generation, warmsUp: true, isKnownReady: false, isHeld, secondary: next.secondary },
          next,
        );
      const replacing = this.#places.change(place, 'reload', start, async (worker) => {
        if (isHeld) await this.#try(worker, trial);
        this.#adopt(next, generation);
      });
      await (trial ? Promise.race([replacing, trial.failed]) : replacing);
      onProgress(replaced + 1, places.length);
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
    this.#dispatcher.use(hosting);
    this.#upkeep.use(hosting);
  }

  /** Starts what has been replaced of this generation again, all at once. @throws Error that names both reasons */
  async #rollBack(hosting: Hosting, generation: number, wanted: number, reason: unknown): Promise<void> {
    for (const place of this.#places.all) this.#places.cancel(place);
    this.#adopt(hosting, generation);
    this.#places.wanted = wanted;
    const others = this.#places.all.filter(({ worker }) => worker?.generation !== generation);
    const changes = others.map((place) => this.#places.change(place, 'rollback', () => this.#startFor(place, true)));
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
    const before = this.#places.all.length;
    this.#places.wanted = Math.min(before, workers);
    const added: Promise<boolean>[] = [];
    // One at a time: a place that is missing would be added as a vacancy, which nothing waits for.
    while (this.#places.all.length < workers) {
      const start = (place: Place) => this.#startFor(place, true, trial !== undefined);
      added.push(this.#places.add(start, trial && ((worker) => this.#try(worker, trial))));
    }
    this.#places.reconcile();
    try {
      const outcomes = await Promise.allSettled(added);
      // Kept-alive connections would otherwise stay with the workers that had them all.
      if (added.length > 0) for (const one of ready) one.setMigration({ send: { rebalance: 1 - before / workers } });
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    } finally {
      if (this.size > 0 && !this.isEnding) this.#keepUp();
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
    this.#dispatcher.wake();
  }

  /** From now on it serves, and sees to it that it can. */
  #keepUp(): void {
    this.pause();
    this.#upkeep.start();
    this.openAcceptor({});
  }

  /** Changes the pool while nothing else does. */
  #alone<T>(change: () => Promise<T>): Promise<T> {
    this.#changes++;
    const outcome = this.#changing.then(change).finally(() => this.#changes--);
    this.#changing = outcome.catch(() => {}); // its caller is told
    return outcome;
  }
}

/** The size, or the nearest one in the range in which the pool scales. */
function inRange(size: number, { range }: Hosting): number {
  return range ? Math.min(range.max, Math.max(range.min, size)) : size;
}
