// Runs each connection on a thread of its own, which is started for it and ends with it.
import { shedder } from '../balance/shedder.js';
import { MovingDeadline, migratingMs, now } from '../clock.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { Berths } from '../flight/berths.js';
import { unmapped } from '../flight/deck.js';
import { nothingWatched, type Watched } from '../flight/watchlist.js';
import { type ThreadWatch, watchOf } from '../hang/thread-watch.js';
import { Spares, unhurriedShare } from '../strategies/spares.js';
import type { Leave } from './close-app.js';
import { type End, type Farewell, LoneThread } from './dedicated-thread.js';
import type { Executor, ExecutorSnapshot, Tell } from './service.js';
import type { WorkerSettings } from './settings.js';
import { lastWord, type Thread } from './thread.js';
import type { Handed } from './thread-messages.js';

export class ThreadPerConnection implements Executor {
  readonly #settings: WorkerSettings;
  /** Of threads of which an app that was loaded the same way is known to be ready. */
  readonly #rehearsed: WorkerSettings;
  readonly #tell: Tell;
  readonly #watch: ThreadWatch;
  readonly #threads = new Set<LoneThread>();
  /** Those among them that have no connection yet. */
  readonly #spares: Spares<LoneThread>;
  readonly #berths: Berths;
  #watched = nothingWatched;
  #served = 0;
  /** What a thread that starts in the middle of a drain is told at once. */
  #drain: Farewell | undefined;
  /** Connections of others are about to come, and from then on that is urgent. */
  #urgentFrom: number | undefined;
  #onSpares = (_: number): void => {};

  constructor(settings: WorkerSettings, tell: Tell) {
    this.#settings = settings;
    this.#rehearsed = { ...settings, isRehearsed: true, warmsUp: false };
    this.#tell = tell;
    this.#watch = watchOf(settings, tell);
    this.#berths = new Berths(settings.flights, unmapped); // a thread is not worth a mapping
    this.#spares = new Spares({
      start: () => this.#start(undefined, { ...this.#rehearsed, warmsUp: true }),
      dismiss: (thread) => thread.drain({ ms: settings.gracefulTimeout, carries: false }),
      isReady: ({ isReady }) => isReady,
      starting: () => [...this.#threads].filter(({ isReady }) => !isReady).length,
      onSeats: (count) => this.#onSpares(count),
    });
  }

  /** One thread loads the app at once: what cannot be loaded should be known before the first client comes. */
  async start(warmsUp: boolean): Promise<void> {
    if (warmsUp) this.expect(true); // so that the thread that has tried the app waits for one
    const first = this.#start(undefined, this.#settings);
    await first.ready;
    if (this.#drain) return;
    this.#spares.add(first);
    this.#spares.keep(this.#settings.spares);
  }

  onSpares(told: (count: number) => void): void {
    this.#onSpares = told;
    this.#spares.refill();
  }

  expect(isExpecting: boolean): void {
    const urgentFrom = this.#urgentFrom ?? now() + this.#settings.gracefulTimeout * unhurriedShare;
    this.#urgentFrom = isExpecting ? urgentFrom : undefined;
    this.#spares.expect(this.#urgentFrom);
  }

  async run(connection: IncomingConnection): Promise<void> {
    try {
      await this.#serve(connection);
    } catch (error) {
      this.#tell({ event: 'connection-lost', reason: (error as Error).message });
    }
  }

  async drain(ms: number, _: Leave, carries: boolean, onMigrating: () => void): Promise<void> {
    const deadline = new MovingDeadline(ms + lastWord);
    const prolong = (): void => {
      deadline.prolong(Math.max(migratingMs, ms) + lastWord);
      onMigrating();
    };
    this.#drain = { ms, carries, onMigrating: prolong };
    for (const thread of this.#threads) thread.drain(this.#drain);
    this.#spares.close();
    await deadline.within(Promise.all([...this.#threads].map(({ ended }) => ended)));
  }

  stay(): void {
    for (const thread of this.#channels()) thread.say({ type: 'stay' });
  }

  share(part: number): void {
    for (const thread of this.#channels()) thread.say({ type: 'share', part });
  }

  snapshot(): ExecutorSnapshot {
    return { served: this.#channels().reduce((sum, { served }) => sum + served, this.#served) };
  }

  load(): undefined {
    return undefined; // its threads come and go with their connections
  }

  beware(watched: Watched): void {
    this.#watched = watched;
    for (const thread of this.#channels()) thread.say({ type: 'beware', watched });
  }

  readonly shed = shedder(() => this.#channels());

  /** Settles when the connection has ended. */
  async #serve(connection: IncomingConnection): Promise<void> {
    const fd = connection.detach();
    if (fd === undefined) return;
    const handed = { fd, ...connection.facts };
    const spare = this.#spares.take(connection.isMigrated);
    let end = await this.#given(spare, handed);
    // A spare that died before it took the connection has cost its client nothing: it gets a thread of its own.
    if (spare && end.left && !this.#drain) end = await this.#given(undefined, end.left);
    if (!end.left) return connection.release();
    connection.close();
    this.#tell({ event: 'connection-lost', reason: end.reason });
  }

  #given(spare: LoneThread | undefined, handed: Handed): Promise<End> {
    const thread = spare?.serve(handed) ? spare : this.#start(handed);
    return thread.ended;
  }

  #start(handed?: Handed, settings = this.#rehearsed): LoneThread {
    const since = now();
    const thread = new LoneThread(settings, this.#tell, this.#watch, this.#berths.take(), () => this.#watched, handed);
    this.#threads.add(thread);
    if (this.#drain) thread.drain(this.#drain);
    let readyAt = Number.POSITIVE_INFINITY;
    thread.ready.then(
      () => {
        readyAt = now();
        this.#spares.started(readyAt - since);
      },
      () => {},
    );
    void thread.ended.then(({ served }) => {
      this.#threads.delete(thread);
      this.#served += served;
      this.#spares.ended(thread, Math.max(0, now() - readyAt));
    });
    return thread;
  }

  /** Those that can be asked. */
  #channels(): Thread[] {
    return [...this.#threads].flatMap(({ thread }) => thread ?? []);
  }
}
