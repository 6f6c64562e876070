// A number of worker processes, kept alive: compares those that are wanted with those that are, and starts the
// missing ones, at once or later when they keep dying. A place in the pool outlives its workers.
import { BackOff } from '../back-off.js';
import { ExitCode, StartupError } from '../errors.js';
import type { Events } from '../events.js';
import { DiedYoung, type ExitReason, type WorkerHandle } from './handle.js';
import { askAgain } from './spawn.js';

/** Before any worker has ever been ready, each place is tried this often. */
const bootTries = 3;

interface Place {
  readonly id: number;
  readonly backOff: BackOff;
  worker: WorkerHandle | undefined;
  retry: NodeJS.Timeout | undefined;
}

export class Pool {
  readonly #places: Place[];
  readonly #spawn: (id: number) => WorkerHandle;
  readonly #events: Events;
  /** Those who wait for a worker to be ready. */
  readonly #waiting: (() => void)[] = [];
  #servedByTheDead = 0;
  #ending = false;

  /** @param spawn starts the worker of a place, 1 to `size` */
  constructor(size: number, spawn: (id: number) => WorkerHandle, events: Events) {
    this.#places = Array.from({ length: size }, (_, i) => ({
      id: i + 1,
      backOff: new BackOff(),
      worker: undefined,
      retry: undefined,
    }));
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
    return this.#places.reduce((sum, { worker }) => sum + (worker?.served ?? 0), this.#servedByTheDead);
  }

  /** Ends all, gracefully within `ms` milliseconds. Always settles; nothing is replaced any more. */
  async drain(ms: number): Promise<void> {
    this.#ending = true;
    this.#wake();
    await Promise.all(
      this.#places.map(async ({ worker, retry }) => {
        clearTimeout(retry);
        worker?.drain(ms);
        await worker?.exit;
      }),
    );
  }

  kill(): void {
    this.#ending = true;
    this.#wake();
    for (const { worker, retry } of this.#places) {
      clearTimeout(retry);
      worker?.kill();
    }
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
        if (signal === null) {
          const message = `the app ended the worker while it was loading: ${error.message} (does it call process.exit?)`;
          throw new StartupError(ExitCode.app, message);
        }
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
    if (place.worker) this.#servedByTheDead += place.worker.served;
    const worker = this.#spawn(place.id);
    place.worker = worker;
    worker.ready.then(
      () => this.#wake(),
      () => {},
    );
    return worker;
  }

  /** `worker` has ended after it was ready, or a replacement has ended before it was. */
  #replace(place: Place, worker: WorkerHandle, { code, signal, livedMs, wanted }: ExitReason): void {
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
