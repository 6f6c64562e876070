// Runs connections on a pool of threads (piscina). Where the process accepts, a connection is one task of the pool
// and goes to a thread as a copy of its descriptor; where the threads accept by themselves, the pool only keeps
// them alive.
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { BackOff } from '../back-off.js';
import { responsive } from '../balance/balancer.js';
import { divide } from '../balance/divide.js';
import { roundRobin } from '../balance/round-robin.js';
import { within } from '../clock.js';
import { ExitCode, StartupError } from '../errors.js';
import { type Berth, Berths } from '../flight/berths.js';
import { mapped } from '../flight/deck.js';
import type { Watched } from '../flight/watchlist.js';
import { closeDescriptor, detach, duplicate } from '../os/descriptor.js';
import type { WorkerSettings } from '../process/settings.js';
import type { Executor, ExecutorSnapshot, Tell } from './executor.js';
import { lastWord, Thread } from './thread.js';
import { endedLoading, isHello, type ThreadData } from './thread-messages.js';
import { type ThreadWatch, watchOf } from './thread-watch.js';

const threadFile = fileURLToPath(new URL('../executor/thread-entry.cjs', import.meta.url));

export class ThreadPool implements Executor {
  readonly #settings: WorkerSettings;
  readonly #tell: Tell;
  readonly #watch: ThreadWatch;
  /** Shares of the limit that no thread has. */
  readonly #shares: number[];
  readonly #balance = roundRobin();
  readonly #backOff = new BackOff();
  readonly #threads = new Map<number, Thread>();
  readonly #berths: Berths;
  readonly #berthOf = new Map<Thread, Berth>();
  #watched: Watched;
  /** Connections for which there is no thread at this moment. */
  readonly #waiting: (() => void)[] = [];
  #pool: Piscina | undefined;
  /** The thread that was chosen for the task that is being submitted. */
  #chosen = -1;
  /** How long a new thread waits before it loads the app, for others have died young (milliseconds). */
  #delay = 0;
  #servedByTheDead = 0;
  #onBootFailure: ((error: Error) => void) | undefined;
  #draining = false;

  constructor(settings: WorkerSettings, tell: Tell) {
    this.#settings = settings;
    this.#tell = tell;
    this.#watch = watchOf(settings, tell);
    this.#berths = new Berths(settings.flights, mapped);
    this.#watched = settings.watched;
    this.#shares = divide(settings.maxConnections, settings.threads);
  }

  async start(): Promise<void> {
    const { threads } = this.#settings;
    const pool = new Piscina({
      filename: threadFile,
      minThreads: threads,
      maxThreads: threads,
      concurrentTasksPerWorker: this.#settings.maxConnections,
      // With atomics an idle thread would sleep in Atomics.wait, and the app's sockets and timers with it.
      atomics: 'disabled',
      recordTiming: false,
      workerData: { settings: this.#settings } satisfies ThreadData,
      loadBalancer: (_, workers) => workers.find(({ id }) => id === this.#chosen) ?? null,
    });
    this.#pool = pool;
    // A thread that had no connection has died; `workerDestroy` sees to all of them.
    pool.on('error', () => {});
    pool.on('workerDestroy', ({ id }: { id: number }) => {
      // After its exit a thread has no id any more: then it is one that the pool does not list.
      const living = new Set(pool.threads.map(({ threadId }) => threadId));
      this.#lose([...this.#threads.keys()].find((known) => known === id || !living.has(known)));
    });
    await new Promise<void>((ready, failed) => {
      this.#onBootFailure = failed;
      pool.on('message', (message: unknown) => {
        if (!isHello(message)) return;
        const thread = new Thread(message, this.#tell, this.#shares.pop());
        this.#threads.set(thread.id, thread);
        const load = () =>
          void this.#load(thread).then(() => {
            if (this.#ready.length === threads) ready();
          });
        if (this.#delay > 0) setTimeout(load, this.#delay);
        else load();
      });
    });
    this.#onBootFailure = undefined;
  }

  async run(socket: Socket): Promise<void> {
    try {
      const fd = detach(socket);
      if (fd !== undefined) await this.#give(fd);
    } catch (error) {
      this.#tell({ event: 'connection-lost', reason: (error as Error).message });
    }
  }

  async drain(ms: number): Promise<void> {
    this.#draining = true;
    const threads = [...this.#threads.values()];
    for (const thread of threads) thread.say({ type: 'drain', ms });
    // A thread that is stuck cannot say that it has given up.
    await within(ms + lastWord, Promise.all(threads.map(({ drained }) => drained)));
  }

  snapshot(): ExecutorSnapshot {
    const living = [...this.#threads.values()].reduce((sum, { served }) => sum + served, 0);
    return { served: this.#servedByTheDead + living };
  }

  shed(): void {
    for (const thread of this.#ready) thread.shed();
  }

  beware(watched: Watched): void {
    this.#watched = watched;
    for (const thread of this.#threads.values()) thread.say({ type: 'beware', watched });
  }

  get #ready(): Thread[] {
    return [...this.#threads.values()].filter(({ isReady }) => isReady);
  }

  async #load(thread: Thread): Promise<void> {
    try {
      const listen = this.#settings.threadAccept === 'shared' ? this.#settings.listen.map(duplicate) : [];
      const berth = this.#berths.take();
      this.#berthOf.set(thread, berth);
      const { share: maxConnections, taken } = thread;
      thread.say({ type: 'load', listen, maxConnections, taken, place: berth.place, watched: this.#watched });
      await thread.ready;
      if (this.#threads.has(thread.id)) this.#watch.watch(thread.id, thread.taken, () => this.#terminate(thread));
      for (const serve of this.#waiting.splice(0)) serve();
    } catch (error) {
      if (this.#onBootFailure) return this.#onBootFailure(error as Error);
      this.#unfit(thread, (error as Error).message);
      // Its end makes piscina start another.
      this.#terminate(thread);
    }
  }

  #terminate({ id }: Thread): void {
    void this.#pool?.threads.find(({ threadId }) => threadId === id)?.terminate();
  }

  /** A replacement could not load the app; the next one tries it later. */
  #unfit(thread: Thread, reason: string): void {
    if (thread.isUnfit || this.#draining) return;
    thread.isUnfit = true;
    this.#delay = this.#backOff.died(0);
    this.#tell({ event: 'thread-unfit', tid: thread.id, reason, retryInMs: this.#delay });
  }

  /** Gives the connection behind `fd` to a thread, or to another one if that dies before it took it. */
  async #give(fd: number): Promise<void> {
    const thread = this.#balance(responsive(this.#ready));
    if (!thread) {
      if (this.#draining) return closeDescriptor(fd);
      await new Promise<void>((served) => this.#waiting.push(served));
      return this.#give(fd);
    }
    const place = thread.post();
    thread.active++;
    this.#chosen = thread.id;
    try {
      await this.#pool?.run(fd);
    } catch {
      // The thread died. Tasks are taken in the order in which they were posted.
      if (Atomics.load(thread.taken, 0) <= place) return this.#give(fd);
    } finally {
      thread.active--;
    }
  }

  #lose(id: number | undefined): void {
    const thread = id === undefined ? undefined : this.#threads.get(id);
    if (this.#onBootFailure) {
      this.#onBootFailure(new StartupError(ExitCode.app, endedLoading));
    }
    if (!thread) return;
    this.#threads.delete(thread.id);
    this.#watch.forget(thread.id);
    thread.close();
    this.#shares.push(thread.share);
    this.#servedByTheDead += thread.served;
    const requests = this.#berthOf.get(thread)?.leave() ?? [];
    this.#berthOf.delete(thread);
    if (requests.length > 0) this.#tell({ event: 'requests-lost', tid: thread.id, requests });
    if (!thread.isReady) this.#unfit(thread, endedLoading);
    else if (!this.#draining) {
      this.#delay = this.#backOff.died(thread.livedMs);
      const { id: tid, active: connections } = thread;
      this.#tell({ event: 'thread-lost', tid, connections, replacedInMs: this.#delay });
    }
  }
}
