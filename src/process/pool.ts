// A number of worker processes, kept alive: compares those that are wanted with those that are, and starts the
// missing ones, at once or later when they keep dying. A place in the pool outlives its workers; a reload puts a
// worker of the next generation into each, one after the other.
import { BackOff } from '../back-off.js';
import { ExitCode, StartupError } from '../errors.js';
import type { Events } from '../events.js';
import { DiedYoung, type ExitReason, type WorkerHandle } from './handle.js';
import { askAgain } from './spawn.js';

/** Before any worker has ever been ready, each place is tried this often. */
const bootTries = 3;

/** Starts the worker of a place, which is 1 or more. @throws StartupError when the system refuses */
export type Spawn = (place: number, generation: number) => WorkerHandle;

interface Place {
  readonly id: number;
  backOff: BackOff;
  worker: WorkerHandle | undefined;
  retry: NodeJS.Timeout | undefined;
}

export class Pool {
  readonly #places: Place[];
  readonly #events: Events;
  /** Those that have no place: on their way in, or out. */
  readonly #others = new Set<WorkerHandle>();
  #spawn: Spawn;
  #generation = 1;
  /** Those who wait for a worker to be ready. */
  readonly #waiting: (() => void)[] = [];
  #servedByTheDead = 0;
  #ending = false;

  constructor(size: number, spawn: Spawn, events: Events) {
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
    return this.#places.flatMap(({ worker }) => (worker?.stage === 'ready' ? [worker] : []));
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
   * @param drainMs milliseconds that an old one has to finish what is in flight
   * @param onProgress told how many have been replaced
   * @throws StartupError when one of the new ones cannot be ready. If it is the first, nothing has changed
   */
  async reload(spawn: Spawn, drainMs: number, onProgress: (replaced: number) => void): Promise<void> {
    const generation = this.#generation + 1;
    if (this.#places.length === 0) this.#succeed(spawn, generation);
    for (const [replaced, place] of [...this.#places].entries()) {
      if (this.#ending) return;
      const next = await this.#prove(() => spawn(place.id, generation));
      if (this.#ending) return;
      this.#succeed(spawn, generation);
      this.#others.delete(next);
      this.#occupy(place, next, drainMs);
      onProgress(replaced + 1);
    }
  }

  /**
   * Replaces one worker by a new one of this generation, which is ready before the old one is drained.
   * @returns false when it has no place any more. @throws StartupError when the new one cannot be ready
   */
  async renew(worker: WorkerHandle, drainMs: number): Promise<boolean> {
    const place = this.#places.find((one) => one.worker === worker);
    if (!place || this.#ending) return false;
    const next = await this.#prove(() => this.#spawn(place.id, this.#generation));
    this.#others.delete(next);
    if (place.worker === worker && this.#places.includes(place) && !this.#ending) {
      this.#occupy(place, next, drainMs);
      return true;
    }
    this.#retire(next, drainMs); // a reload or a scaling was faster
    return false;
  }

  /**
   * Makes it `size` places; those that are added are at the end, and those that go, too.
   * @throws StartupError when an added one cannot be ready; those before it stay
   */
  async resize(size: number, drainMs: number): Promise<void> {
    for (const place of this.#places.splice(size)) {
      const { worker } = place;
      clearTimeout(place.retry);
      place.worker = undefined;
      if (worker) this.#retire(worker, drainMs);
    }
    while (this.#places.length < size && !this.#ending) {
      const id = this.#places.length + 1;
      const worker = await this.#prove(() => this.#spawn(id, this.#generation));
      this.#others.delete(worker);
      const place = vacancy(id);
      this.#places.push(place);
      this.#occupy(place, worker, drainMs);
    }
  }

  /** Ends all, gracefully within `ms` milliseconds. Always settles; nothing is replaced any more. */
  async drain(ms: number): Promise<void> {
    this.#ending = true;
    this.#wake();
    for (const { retry } of this.#places) clearTimeout(retry);
    await Promise.all(
      this.workers.map(async (worker) => {
        worker.drain(ms);
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

  /** Puts a worker that is ready in the place of the one that is there. */
  #occupy(place: Place, worker: WorkerHandle, drainMs: number): void {
    const old = place.worker;
    clearTimeout(place.retry);
    place.worker = worker;
    place.backOff = new BackOff();
    void worker.exit.then((reason) => this.#replace(place, worker, reason));
    if (old) this.#retire(old, drainMs);
    this.#wake();
  }

  /** Its connections are finished; it has no place any more. */
  #retire(worker: WorkerHandle, drainMs: number): void {
    this.#others.add(worker);
    worker.drain(drainMs);
    void worker.exit.then(() => {
      this.#others.delete(worker);
      this.#servedByTheDead += worker.served;
    });
  }

  #wake(): void {
    for (const ready of this.#waiting.splice(0)) ready();
  }

  async #boot(place: Place): Promise<void> {
    for (let tries = 1; ; tries++) {
      const worker = this.#start(place);
      try {
        await worker.ready;
        void worker.exit.then((reason) => this.#replace(place, worker, reason));
        return;
      } catch (error) {
        const { wanted, signal } = await worker.exit;
        if (wanted || this.#ending || !(error instanceof DiedYoung)) throw error;
        // An exit of its own accord is the app's doing and would happen again; a signal may not.
        if (signal === null) throw endedLoading(error);
        if (tries === bootTries) {
          throw new StartupError(
            ExitCode.crashLoop,
            `worker ${place.id} died ${tries} times before it was ready: ${error.message}; ` +
              'look at the memory limit and at native add-ons of the app',
          );
        }
      }
    }
  }

  #start(place: Place): WorkerHandle {
    const worker = this.#spawn(place.id, this.#generation);
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

function endedLoading({ message }: DiedYoung): StartupError {
  return new StartupError(
    ExitCode.app,
    `the app ended the worker while it was loading: ${message} (does it call process.exit?)`,
  );
}
