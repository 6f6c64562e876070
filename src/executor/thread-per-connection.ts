// Runs each connection on a thread of its own, which is started for it and ends with it.
import type { Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { BackOff } from '../back-off.js';
import { shedder } from '../balance/shedder.js';
import { keptForOthers, keptInHaste, readiest } from '../balance/spare.js';
import { Turn, unhurriedShare } from '../balance/turn.js';
import { now, within } from '../clock.js';
import { ExitCode, StartupError } from '../errors.js';
import { Berths } from '../flight/berths.js';
import { unmapped } from '../flight/deck.js';
import { nothingWatched, type Watched } from '../flight/watchlist.js';
import { closeDescriptor } from '../os/descriptor.js';
import { detach } from '../os/node-socket.js';
import { isCarried, requestsBefore } from '../os/relay.js';
import type { WorkerSettings } from '../process/settings.js';
import type { Executor, ExecutorSnapshot, Tell } from './executor.js';
import type { Leave } from './farewell.js';
import { type End, type Farewell, LoneThread, threadFile } from './lone-thread.js';
import { lastWord, Thread } from './thread.js';
import { endedLoading, type Handed, isHello, type ThreadData } from './thread-messages.js';
import { type ThreadWatch, watchOf } from './thread-watch.js';

export class ThreadPerConnection implements Executor {
  readonly #settings: WorkerSettings;
  readonly #tell: Tell;
  readonly #watch: ThreadWatch;
  readonly #threads = new Set<LoneThread>();
  /** Those among them that have no connection yet. */
  readonly #spares = new Set<LoneThread>();
  readonly #backOff = new BackOff();
  readonly #turn = new Turn(() => this.#refill());
  readonly #berths: Berths;
  #watched = nothingWatched;
  #served = 0;
  /** What a thread that starts in the middle of a drain is told at once. */
  #drain: Farewell | undefined;
  /** Connections of others are about to come. */
  #isExpecting = false;
  /** When that is urgent. */
  #urgentFrom = 0;
  #onSpares = (_: number): void => {};

  constructor(settings: WorkerSettings, tell: Tell) {
    this.#settings = settings;
    this.#tell = tell;
    this.#watch = watchOf(settings, tell);
    this.#berths = new Berths(settings.flights, unmapped); // a thread is not worth a mapping
  }

  /** One thread loads the app and ends: what cannot be loaded should be known before the first client comes. */
  async start(): Promise<void> {
    const worker = new Worker(threadFile, { workerData: { settings: this.#settings } satisfies ThreadData });
    await new Promise<void>((ready, failed) => {
      worker.on('message', (message: unknown) => {
        if (!isHello(message)) return;
        const thread = new Thread(message, this.#tell);
        const { taken } = thread;
        thread.say({ type: 'load', maxConnections: 1, taken, place: undefined });
        thread.ready.then(ready, failed);
      });
      worker.on('error', failed);
      worker.on('exit', () => {
        failed(new StartupError(ExitCode.app, endedLoading));
      });
    });
    void worker.terminate();
    this.#refill();
  }

  onSpares(told: (count: number) => void): void {
    this.#onSpares = told;
  }

  expect(isExpecting: boolean): void {
    if (!this.#isExpecting) this.#urgentFrom = now() + this.#settings.gracefulTimeout * unhurriedShare;
    this.#isExpecting = isExpecting;
    this.#refill();
    this.#tellSpares();
  }

  async run(socket: Socket): Promise<void> {
    try {
      await this.#serve(socket);
    } catch (error) {
      this.#tell({ event: 'connection-lost', reason: (error as Error).message });
    }
  }

  async drain(ms: number, _: Leave, carries: boolean): Promise<void> {
    this.#drain = { ms, carries };
    for (const thread of this.#threads) thread.drain(this.#drain);
    this.#spares.clear();
    await within(ms + lastWord, Promise.all([...this.#threads].map(({ ended }) => ended)));
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
  async #serve(socket: Socket): Promise<void> {
    const fd = detach(socket);
    if (fd === undefined) return;
    const handed = { fd, requests: requestsBefore(socket) };
    // While connections are expected that have a seat only when a spare is ready, others take none that is kept for those.
    const isKept = !isCarried(socket) && this.#spares.size <= this.#kept;
    const spare = isKept ? undefined : readiest(this.#spares, ({ isReady }) => isReady);
    if (spare) this.#spares.delete(spare);
    let end = await this.#given(spare, handed);
    // A spare that died before it took the connection has cost its client nothing: it gets a thread of its own.
    if (spare && end.left && !this.#drain) end = await this.#given(undefined, end.left);
    if (!end.left) return;
    closeDescriptor(end.left.fd);
    this.#tell({ event: 'connection-lost', reason: end.reason });
  }

  #given(spare: LoneThread | undefined, handed: Handed): Promise<End> {
    const thread = spare?.serve(handed) ? spare : this.#start(handed);
    this.#refill();
    this.#tellSpares();
    return thread.ended;
  }

  /** Starts threads before there are connections for them: --spares, and those for connections that are expected. */
  #refill(): void {
    const later = (): void => void setTimeout(() => this.#refill(), this.#backOff.died(0)).unref();
    try {
      const { spares } = this.#settings;
      const wanted = Math.max(spares, this.#kept);
      const isMissing = () => !this.#drain && this.#spares.size < wanted;
      while (isMissing() && (this.#spares.size < spares || this.#turn.has(this.#starting, this.#isUrgent))) {
        const spare = this.#start();
        this.#spares.add(spare);
        // One that ends without ever having had a connection is replaced, later and later.
        void spare.ended.then(() => {
          if (!this.#spares.delete(spare)) return;
          this.#tellSpares();
          later();
        });
      }
      if (!isMissing()) this.#turn.pass();
      for (const spare of [...this.#spares].slice(wanted)) {
        this.#spares.delete(spare);
        spare.drain({ ms: this.#settings.gracefulTimeout, carries: false });
      }
    } catch {
      later(); // the system refuses another thread; a connection can still have one of its own when it comes
    }
  }

  /** Spares that are kept for connections that are expected. */
  get #kept(): number {
    if (!this.#isExpecting) return 0;
    return this.#isUrgent ? keptInHaste : keptForOthers;
  }

  get #isUrgent(): boolean {
    return now() > this.#urgentFrom;
  }

  get #starting(): number {
    return [...this.#threads].filter(({ isReady }) => !isReady).length;
  }

  /** It may be the turn of a spare that is expected. Those of --spares have their own time, after deaths later and later. */
  #next(): void {
    if (this.#isExpecting) this.#refill();
    this.#tellSpares();
  }

  /** Of those that could take a connection of others at once. */
  #tellSpares(): void {
    this.#onSpares(this.#isExpecting ? [...this.#spares].filter(({ isReady }) => isReady).length : 0);
  }

  #start(handed?: Handed): LoneThread {
    const since = now();
    const thread = new LoneThread(
      this.#settings,
      this.#tell,
      this.#watch,
      this.#berths.take(),
      () => this.#watched,
      handed,
      () => {
        this.#turn.took(now() - since);
        this.#next();
      },
    );
    this.#threads.add(thread);
    if (this.#drain) thread.drain(this.#drain);
    void thread.ended.then(({ served }) => {
      this.#threads.delete(thread);
      this.#served += served;
      this.#next();
    });
    return thread;
  }

  /** Those that can be asked. */
  #channels(): Thread[] {
    return [...this.#threads].flatMap(({ thread }) => thread ?? []);
  }
}
