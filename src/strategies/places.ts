// The places of a pool, and the workers that have them. One function compares the workers that are wanted with those that
// there are, and starts and ends them accordingly: after a crash, a reload, a scaling or a recycling.
import { BackOff } from '../back-off.js';
import type { EndReason } from '../reports/exit-cause.js';
import type { Exit, Worker } from '../worker/worker.js';
import { refusedRetryMs } from './base.js';
import { boot } from './boot.js';
import { freeId, loadOf, type Place, vacancy } from './place.js';
import type { HostListener } from './strategy.js';

/** What the pool does for its places. */
export interface PlacesOwner {
  /** It ends, and no worker is started or replaced any more. */
  readonly isEnding: () => boolean;
  readonly listener: () => Pick<HostListener, 'died' | 'unfit' | 'serverClosed'>;
  /** Starts the worker that a place misses. @throws StartupError when the system refuses another one */
  readonly start: (place: Place) => Worker;
  /** Ends a worker gracefully. */
  readonly retire: (worker: Worker, reason: EndReason) => void;
  /** A worker has taken a place. */
  readonly occupied: () => void;
}

export class Places {
  /** How many workers there should be. */
  wanted: number;
  readonly #owner: PlacesOwner;
  readonly #all: Place[] = [];

  constructor(wanted: number, owner: PlacesOwner) {
    this.wanted = wanted;
    this.#owner = owner;
    for (let id = 1; id <= wanted; id++) this.#all.push(vacancy(id));
  }

  get all(): readonly Place[] {
    return this.#all;
  }

  /** Of a worker that serves. */
  of(worker: Worker): Place | undefined {
    return this.#all.find((one) => one.worker === worker);
  }

  /** A place that has no worker yet, because it has been added, is not missed. */
  get missesWorkers(): boolean {
    return this.#all.some(({ worker, change }) => !worker && !change);
  }

  /** Starts the first workers. @returns for each a promise that rejects with a StartupError when it cannot be ready */
  boot(start: (place: Place) => Worker): Promise<void>[] {
    return this.#all.map(async (place) => {
      const worker = await boot(() => {
        place.next = start(place);
        return place.next;
      });
      await this.#occupy(place, worker);
    });
  }

  /**
   * Compares what is wanted with what there is: gives up places that are too many, adds those that are missing, and
   * starts a worker in each place that has none, or from which an operation wants another.
   */
  reconcile(): void {
    if (this.#owner.isEnding()) return;
    // With the same load, as where it is not measured, the newest places go.
    const byLoad = [...this.#all].sort((a, b) => loadOf(b) - loadOf(a) || a.id - b.id);
    for (const place of byLoad.slice(this.wanted)) this.#giveUp(place);
    while (this.#all.length < this.wanted) this.#all.push(vacancy(freeId(this.#all)));
    this.#all.sort((a, b) => a.id - b.id);
    for (const place of this.#all) {
      const isWanted = !place.worker || place.change !== undefined;
      if (isWanted && !place.next && !place.retry) this.#startNext(place);
    }
  }

  /**
   * Has a new worker take the place.
   * @param reason why the worker that has the place ends
   * @param approve called when the new worker is ready, before it takes the place. @throws Error when it must not
   * @returns false when the place was given up meanwhile. @throws Error when the new worker cannot be ready, or must not
   */
  change(place: Place, reason: EndReason, start: () => Worker, approve = async (_: Worker) => {}): Promise<boolean> {
    this.cancel(place); // what starts would be of another generation
    return new Promise((settle, fail) => {
      place.change = { reason, start, approve, settle, fail };
      this.reconcile();
    });
  }

  /** As `change`, in a place that is added, and given up when that fails. */
  async add(start: (place: Place) => Worker, approve?: (worker: Worker) => Promise<void>): Promise<boolean> {
    this.wanted++;
    const place = vacancy(freeId(this.#all));
    this.#all.push(place);
    try {
      return await this.change(place, 'reload', () => start(place), approve);
    } catch (error) {
      this.wanted--;
      this.#giveUp(place);
      throw error;
    }
  }

  /** Starts no worker there any more. */
  cancel(place: Place): void {
    clearTimeout(place.retry);
    place.retry = undefined;
    if (place.next) this.#owner.retire(place.next, 'unused');
    place.next = undefined;
    place.change?.settle(false);
    place.change = undefined;
  }

  /** The app of the worker has closed its server: the worker leaves, and is replaced. */
  serverClosed(worker: Worker): void {
    const place = this.of(worker);
    const delay = place?.backOff.died(worker.readyMs ?? 0);
    this.#owner.listener().serverClosed(worker, delay);
    this.#owner.retire(worker, 'server-closed');
    if (!place || delay === undefined) return; // it is on trial, which fails when it has ended
    place.worker = undefined;
    this.#retryIn(place, delay);
  }

  /** The pool ends. */
  end(): void {
    for (const place of this.#all) clearTimeout(place.retry);
  }

  /** Its worker is ended gracefully, and one that starts is not waited for. */
  #giveUp(place: Place): void {
    if (!this.#all.includes(place)) return;
    this.#all.splice(this.#all.indexOf(place), 1);
    const { worker } = place;
    place.worker = undefined;
    if (worker) this.#owner.retire(worker, this.wanted === 0 ? 'drain' : 'scale-down');
    this.cancel(place);
  }

  #startNext(place: Place): void {
    const { change } = place;
    try {
      const next = change ? change.start() : this.#owner.start(place);
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
      this.#owner.retire(next, 'rollback');
      change?.fail(error as Error);
      return this.reconcile(); // the worker that has the place may have died meanwhile
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
    if (old) this.#owner.retire(old, change?.reason ?? 'reload');
    this.#owner.occupied();
    change?.settle(true);
  }

  /** `next` cannot be ready. */
  async #failed(place: Place, next: Worker, error: Error): Promise<void> {
    await next.exit;
    if (place.next !== next) return;
    place.next = undefined;
    if (this.#owner.isEnding()) return place.change?.fail(error);
    this.#unfit(place, next, error, place.change ? 0 : place.backOff.died(0));
  }

  #unfit(place: Place, worker: Worker | undefined, error: Error, delay: number): void {
    const { change } = place;
    place.change = undefined;
    if (change) {
      change.fail(error);
      this.reconcile(); // its worker may have died meanwhile
      return;
    }
    this.#owner.listener().unfit(place.id, worker, error, delay);
    this.#retryIn(place, delay);
  }

  /** The worker of a place has ended. */
  #ended(place: Place, worker: Worker, exit: Exit): void {
    if (place.worker !== worker) return; // it has been replaced
    place.worker = undefined;
    if (exit.isWanted && place.change) return; // another one starts
    if (this.#owner.isEnding()) {
      if (!exit.isWanted) this.#owner.listener().died(worker, exit, undefined);
      return;
    }
    const delay = place.backOff.died(exit.livedMs);
    this.#owner.listener().died(worker, exit, delay);
    this.#retryIn(place, delay);
  }

  #retryIn(place: Place, ms: number): void {
    if (!this.#all.includes(place)) return;
    clearTimeout(place.retry);
    place.retry = setTimeout(() => {
      place.retry = undefined;
      this.reconcile();
    }, ms);
  }
}
