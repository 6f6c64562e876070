// A number of worker processes, kept alive: compares those that are wanted with those that are, and starts the
// missing ones, at once or later when they keep dying. A place in the pool outlives its workers; a reload puts a
// worker of the next generation into each, one after the other.
import { BackOff } from '../back-off.js';
import type { Events } from '../events.js';
import type { Renewable } from '../upkeep/recycler.js';
import { askAgain } from '../worker/process-runtime.js';
import { DiedYoung, type ExitReason, type WorkerHandle } from '../worker/worker.js';
import { boot, endedLoading } from './boot.js';

/** While a worker is on trial connections are shared anew this often (milliseconds). */
const shareEvery = 250;

/**
 * Starts the worker of a place, which is 1 or more.
 * @param warmsUp it is to have connections of others as soon as it is ready
 * @throws StartupError when the system refuses
 */
export type Spawn = (place: number, generation: number, warmsUp: boolean) => WorkerHandle;

interface Place {
  readonly id: number;
  backOff: BackOff;
  worker: WorkerHandle | undefined;
  retry: NodeJS.Timeout | undefined;
}

export class Pool implements Renewable<WorkerHandle> {
  /** Milliseconds that a worker which is replaced has to finish what is in flight. */
  drainMs: number;
  readonly #places: Place[];
  readonly #events: Events;
  /** Those that have no place: on their way in, or out. */
  readonly #others = new Set<WorkerHandle>();
  /** Of the next generation, beside the others. */
  #onTrial: WorkerHandle | undefined;
  #spawn: Spawn;
  #generation: number;
  /** Workers that leave, and may have connections to give away. */
  #leaving = 0;
  #isExpecting = false;
  /** Connections are not given to others. */
  #stays = false;
  /** Those who wait for a worker to be ready. */
  readonly #waiting: (() => void)[] = [];
  #servedByTheDead = 0;
  #ending = false;

  /** @param generation of the first workers */
  constructor(size: number, spawn: Spawn, drainMs: number, events: Events, generation = 1) {
    this.drainMs = drainMs;
    this.#generation = generation;
    this.#places = Array.from({ length: size }, (_, i) => vacancy(i + 1));
    this.#spawn = spawn;
    this.#events = events;
  }

  /** Settles when all are ready. @throws StartupError when one cannot be; the others are then ended. */
  async start(): Promise<void> {
    const booting = this.#places.map((place) => this.#boot(place));
    try {
      await Promise.all(booting);
    } catch (error) {
      this.#ending = true;
      this.kill();
      await Promise.allSettled(booting);
      throw error;
    }
  }

  /** Workers that can serve, in the order of their places. */
  get ready(): WorkerHandle[] {
    const all = [...this.#places.map(({ worker }) => worker), this.#onTrial];
    return all.flatMap((worker) => (worker?.stage === 'ready' ? [worker] : []));
  }

  /** Settles when another worker is ready, or none will be any more. */
  nextReady(): Promise<void> {
    return new Promise((ready) => {
      if (this.#ending) ready();
      else this.#waiting.push(ready);
    });
  }

  get ending(): boolean {
    return this.#ending;
  }

  get served(): number {
    return this.workers.reduce((sum, { served }) => sum + served, this.#servedByTheDead);
  }

  get size(): number {
    return this.#places.length;
  }

  get generation(): number {
    return this.#generation;
  }

  /** All that live: those with a place in its order, then those on their way in or out. */
  get workers(): WorkerHandle[] {
    return [...this.#places.flatMap(({ worker }) => worker ?? []), ...this.#others];
  }

  /**
   * Replaces all workers by those that `spawn` starts, one after the other: a new one is ready before an old one is
   * drained, so that there are never fewer than before.
   * @param onProgress told how many have been replaced
   * @param trial of the first new one, which serves beside all old ones for so long
   * @throws StartupError when one of the new ones cannot be ready, or what the trial has thrown. If it is the first,
   * nothing has changed
   */
  async reload(spawn: Spawn, onProgress: (replaced: number) => void, trial?: () => Promise<void>): Promise<void> {
    const generation = this.#generation + 1;
    if (this.#places.length === 0) this.#succeed(spawn, generation);
    for (const [replaced, place] of [...this.#places].entries()) {
      if (this.#ending) return;
      const next = await this.#prove(() => spawn(place.id, generation, true));
      if (trial && replaced === 0) await this.#try(next, trial);
      if (this.#ending) return;
      this.#succeed(spawn, generation);
      this.#others.delete(next);
      this.#occupy(place, next);
      onProgress(replaced + 1);
    }
  }

  /**
   * Replaces one worker by a new one of this generation, which is ready before the old one is drained.
   * @returns false when it has no place any more. @throws StartupError when the new one cannot be ready
   */
  async renew(worker: WorkerHandle): Promise<boolean> {
    const place = this.#places.find((one) => one.worker === worker);
    if (!place || this.#ending) return false;
    const next = await this.#prove(() => this.#spawn(place.id, this.#generation, true));
    this.#others.delete(next);
    if (place.worker === worker && this.#places.includes(place) && !this.#ending) {
      this.#occupy(place, next);
      return true;
    }
    this.#retire(next); // a reload or a scaling was faster
    return false;
  }

  /**
   * Makes it `size` places; of those that are too many the least loaded go.
   * @throws StartupError when an added one cannot be ready; the others stay
   */
  async resize(size: number): Promise<void> {
    if (this.#ending) return;
    // With the same load, as where nobody measures it, those that came last.
    const byLoad = [...this.#places].sort((a, b) => loadOf(b) - loadOf(a) || a.id - b.id);
    for (const place of byLoad.slice(size)) {
      this.#places.splice(this.#places.indexOf(place), 1);
      clearTimeout(place.retry);
      const { worker } = place;
      place.worker = undefined;
      if (worker) this.#retire(worker);
    }
    const missing = this.#freeIds(size - this.#places.length);
    const { ready } = this;
    const outcomes = await Promise.allSettled(missing.map((id) => this.#add(id)));
    // Connections that are kept would otherwise stay with those who had the work of all.
    if (missing.length > 0) for (const worker of ready) worker.share(missing.length / size);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  /** Connections of others are about to come, or no longer. */
  expect(isExpecting: boolean): void {
    this.#isExpecting = isExpecting;
    this.#tellHeirs();
  }

  /**
   * Ends all, gracefully within `ms` milliseconds. Always settles; nothing is replaced any more.
   * @param carries their connections are given to others
   */
  async drain(ms: number, carries = false): Promise<void> {
    this.#ending = true;
    this.#wake();
    for (const { retry } of this.#places) clearTimeout(retry);
    await Promise.all(
      this.workers.map(async (worker) => {
        worker.drain(ms, carries);
        await worker.exit;
      }),
    );
  }

  kill(): void {
    this.#ending = true;
    this.#wake();
    for (const { retry } of this.#places) clearTimeout(retry);
    for (const worker of this.workers) worker.kill();
  }

  async #add(id: number): Promise<void> {
    const worker = await this.#prove(() => this.#spawn(id, this.#generation, true));
    this.#others.delete(worker);
    if (this.#ending) return this.#retire(worker);
    const place = vacancy(id);
    this.#places.push(place);
    this.#places.sort((a, b) => a.id - b.id);
    this.#occupy(place, worker);
  }

  /** The lowest numbers that no place has. */
  #freeIds(count: number): number[] {
    const taken = new Set(this.#places.map(({ id }) => id));
    const ids: number[] = [];
    for (let id = 1; ids.length < count; id++) if (!taken.has(id)) ids.push(id);
    return ids;
  }

  /** The new generation can be started: whoever dies from now on is replaced by one of it. */
  #succeed(spawn: Spawn, generation: number): void {
    this.#spawn = spawn;
    this.#generation = generation;
  }

  /** Starts a worker beside the others. @throws StartupError when it cannot be ready; it has ended then. */
  async #prove(start: () => WorkerHandle): Promise<WorkerHandle> {
    const worker = start();
    this.#others.add(worker);
    try {
      await worker.ready;
      return worker;
    } catch (error) {
      worker.kill();
      await worker.exit;
      this.#others.delete(worker);
      throw error instanceof DiedYoung ? endedLoading(error) : error;
    }
  }

  /** Has it serve beside the others while `trial` lasts. @throws what that throws; then it is on its way out */
  async #try(worker: WorkerHandle, trial: () => Promise<void>): Promise<void> {
    this.#onTrial = worker;
    const { ready } = this;
    for (const one of ready) one.expect(true);
    const sharing = setInterval(() => this.#share(), shareEvery);
    try {
      const died = worker.exit.then(({ code, signal }) => {
        throw new Error(`the new generation was worse, and is rolled back: its worker ended (${signal ?? code})`);
      });
      await Promise.race([trial(), died]);
    } catch (error) {
      this.#retire(worker);
      throw error;
    } finally {
      this.#onTrial = undefined;
      clearInterval(sharing);
      this.#tellHeirs();
    }
  }

  /** Those who have connections that are kept give a part of them to all: else the one on trial would have none. */
  #share(): void {
    const { ready } = this;
    for (const worker of ready) worker.share(1 / (ready.length + 1));
  }

  /** Puts a worker that is ready in the place of the one that is there. */
  #occupy(place: Place, worker: WorkerHandle): void {
    const old = place.worker;
    clearTimeout(place.retry);
    place.worker = worker;
    place.backOff = new BackOff();
    void worker.exit.then((reason) => this.#replace(place, worker, reason));
    if (old) this.#retire(old);
    this.#wake();
  }

  /** Its connections are given to the others, or finished; it has no place any more. */
  #retire(worker: WorkerHandle): void {
    this.#others.add(worker);
    this.#leaving++;
    this.#tellHeirs();
    worker.drain(this.drainMs, this.#places.length > 0 && !this.#stays);
    void worker.exit.then(() => {
      this.#others.delete(worker);
      this.#servedByTheDead += worker.served;
      this.#leaving--;
      this.#tellHeirs();
    });
  }

  /** Settles when all who leave have gone. */
  async settled(): Promise<void> {
    await Promise.all(this.#leavers.map(({ exit }) => exit));
  }

  /** Settles when none of those who leave accepts a connection any more. */
  async acceptNoMore(): Promise<void> {
    await Promise.all(this.#leavers.map(({ acceptsNoMore }) => acceptsNoMore));
  }

  get #leavers(): WorkerHandle[] {
    return [...this.#others].filter(({ stage }) => stage === 'draining');
  }

  /** From now on connections are not given to others. */
  stay(): void {
    this.#stays = true;
    for (const worker of this.workers) worker.stay();
  }

  /** Those who stay. */
  #tellHeirs(): void {
    for (const worker of this.ready) worker.expect(this.#isExpected);
  }

  /** Connections of others are about to come. */
  get #isExpected(): boolean {
    return this.#isExpecting || this.#leaving > 0;
  }

  #wake(): void {
    this.#tellHeirs();
    if (this.#stays) this.stay();
    for (const ready of this.#waiting.splice(0)) ready();
  }

  async #boot(place: Place): Promise<void> {
    const worker = await boot(() => this.#start(place));
    void worker.exit.then((reason) => this.#replace(place, worker, reason));
  }

  #start(place: Place): WorkerHandle {
    const worker = this.#spawn(place.id, this.#generation, this.#isExpected);
    if (place.worker) this.#servedByTheDead += place.worker.served;
    place.worker = worker;
    worker.ready.then(
      () => this.#wake(),
      () => {},
    );
    return worker;
  }

  /** `worker` has ended after it was ready, or a replacement has ended before it was. */
  #replace(place: Place, worker: WorkerHandle, { code, signal, livedMs, wanted }: ExitReason): void {
    if (place.worker !== worker) return; // it has been retired
    const reason = signal === null ? `it exited with code ${code}` : `it was ended by ${signal}`;
    if (this.#ending) {
      if (!wanted) this.#died(worker, reason, undefined);
      return;
    }
    const delay = place.backOff.died(livedMs);
    this.#died(worker, reason, delay);
    this.#retry(place, delay);
  }

  #retry(place: Place, delay: number): void {
    if (this.#ending) return;
    place.retry = setTimeout(() => {
      try {
        const next = this.#start(place);
        next.ready.catch((error: Error) => {
          if (!(error instanceof DiedYoung)) this.#unfit(place, error);
        });
        void next.exit.then((end) => this.#replace(place, next, end));
      } catch (error) {
        this.#unfit(place, error as Error);
        this.#retry(place, Math.max(askAgain, place.backOff.died(0)));
      }
    }, delay);
  }

  #unfit({ id }: Place, { message: reason }: Error): void {
    this.#events.tell({ event: 'worker-unfit', worker: id, reason });
  }

  #died({ id, pid }: WorkerHandle, reason: string, replacedInMs: number | undefined): void {
    this.#events.tell({ event: 'worker-died', worker: id, pid, reason, replacedInMs });
  }
}

function vacancy(id: number): Place {
  return { id, backOff: new BackOff(), worker: undefined, retry: undefined };
}

function loadOf({ worker }: Place): number {
  return worker?.load ?? 0;
}
