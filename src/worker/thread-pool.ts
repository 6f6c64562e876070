// Runs connections on a pool of threads (piscina). Where the process accepts, a connection is one task of the pool
// and goes to a thread as a copy of its descriptor; where the threads accept by themselves, the pool only keeps
// them alive.
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { BackOff } from '../back-off.js';
import { responsive } from '../balance/balancer.js';
import { divide } from '../balance/divide.js';
import { roundRobin } from '../balance/round-robin.js';
import { now, within } from '../clock.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { ExitCode, StartupError } from '../errors.js';
import { endOf } from '../events.js';
import { type Berth, Berths } from '../flight/berths.js';
import { mapped } from '../flight/deck.js';
import { nothingWatched, type Watched } from '../flight/watchlist.js';
import { type ThreadWatch, watchOf } from '../hang/thread-watch.js';
import { duplicateChannel } from '../migration/channel.js';
import { migrateUnserved } from '../migration/sender.js';
import { duplicate } from '../os/descriptor.js';
import { Recycler, type Renewable } from '../upkeep/recycler.js';
import { lookEvery, Scaler } from '../upkeep/scaler.js';
import type { Leave } from './close-app.js';
import { newKey } from './messages.js';
import type { Executor, ExecutorSnapshot, Tell } from './service.js';
import { threadSettings, type WorkerSettings } from './settings.js';
import { Thread } from './thread.js';
import {
  deathOf,
  endedLoading,
  type Handed,
  heapLimit,
  isHello,
  nobody,
  slot,
  type ThreadData,
} from './thread-messages.js';

const threadFile = fileURLToPath(new URL('../worker/thread-main.cjs', import.meta.url));

/** Between two looks for threads that are stuck (milliseconds). */
const sweepEvery = 250;

/** After the system refused a thread it is asked again so much later (milliseconds). */
const wantMs = 500;

/** No thread has this number. */
const noThread = -1;

export class ThreadPool implements Executor, Renewable<Thread> {
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
  #watched = nothingWatched;
  /** Connections for which there is no thread at this moment. */
  readonly #waiting: (() => void)[] = [];
  /** Migrations of connections that were waiting when the pool was drained. */
  readonly #migrations = new Set<Promise<boolean>>();
  readonly #scaler: Scaler | undefined;
  readonly #recycler: Recycler<Thread>;
  /** Threads that there should be, besides those on their way out. */
  #wanted: number;
  /** How many threads there were before the pool grew, until those that are new have their share; otherwise 0. */
  #grownFrom = 0;
  /** Those who wait for a thread that replaces another; it is undefined if it ended before its first word. */
  readonly #replacements: ((born: Thread | undefined) => void)[] = [];
  #sweeping: NodeJS.Timeout | undefined;
  #watching: NodeJS.Timeout | undefined;
  #pool: Piscina | undefined;
  /** The thread that was chosen for the task that is being submitted. */
  #chosen = noThread;
  /** How long a new thread waits before it loads the app, for others have died young (milliseconds). */
  #delay = 0;
  #servedByTheDead = 0;
  #onBootFailure: ((error: Error) => void) | undefined;
  /** Its first threads are to have connections of others. */
  #warmsUp = false;
  #draining = false;
  #carries = false;
  /** Connections are not given to others, not even by threads that are replaced. */
  #stays = false;

  constructor(settings: WorkerSettings, tell: Tell) {
    this.#settings = settings;
    this.#tell = tell;
    this.#watch = watchOf(settings, tell);
    this.#berths = new Berths(settings.flights, mapped);
    const { threadRange, threadWear } = settings;
    this.#wanted = settings.threads;
    this.#shares = divide(settings.maxConnections, threadRange.max);
    this.#scaler = threadRange.min < threadRange.max ? new Scaler(threadRange) : undefined;
    this.#recycler = new Recycler(this, threadWear, {
      recycled: ({ id: tid }, reason) => tell({ event: 'thread-recycled', tid, reason }),
      failed: () => {}, // it has been told of as a thread that could not load the app
    });
  }

  async start(warmsUp: boolean): Promise<void> {
    this.#warmsUp = warmsUp;
    const { threads, threadRange, maxThreadHeap } = this.#settings;
    const helloKey = newKey();
    const pool = new Piscina({
      filename: threadFile,
      minThreads: threads,
      // Each of them may be replaced while it finishes what it has.
      maxThreads: 2 * threadRange.max,
      idleTimeout: Number.POSITIVE_INFINITY,
      ...(maxThreadHeap > 0 && { resourceLimits: heapLimit(maxThreadHeap) }),
      concurrentTasksPerWorker: this.#settings.maxConnections,
      // With atomics an idle thread would sleep in Atomics.wait, and the app's sockets and timers with it.
      atomics: 'disabled',
      recordTiming: false,
      workerData: { settings: threadSettings(this.#settings), helloKey } satisfies ThreadData,
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
        if (!isHello(message, helloKey) || this.#threads.has(message.threadId)) return;
        const thread = new Thread(message, this.#tell, this.#shares.pop());
        this.#threads.set(thread.id, thread);
        this.#hearDeath(thread);
        this.#replacements.shift()?.(thread);
        const load = () =>
          void this.#load(thread).then(() => {
            if (this.ready.length === threads) ready();
          });
        if (this.#delay > 0) setTimeout(load, this.#delay);
        else load();
      });
    });
    this.#onBootFailure = undefined;
    // From now on we say how many there are; piscina replaces nobody by itself.
    pool.options.minThreads = 0;
    this.#recycler.start();
    if (this.#settings.threadAccept === 'dispatch') this.#sweeping = setInterval(() => this.#sweep(), sweepEvery);
    if (this.#scaler) this.#watching = setInterval(() => this.#look(), lookEvery);
  }

  async run(connection: IncomingConnection): Promise<void> {
    try {
      const fd = connection.detach();
      if (fd !== undefined) await this.#give(connection, { fd, ...connection.facts });
    } catch (error) {
      this.#tell({ event: 'connection-lost', reason: (error as Error).message });
    }
  }

  async drain(ms: number, _: Leave, carries: boolean, onMigrating: () => void): Promise<void> {
    this.#draining = true;
    this.#carries = carries;
    this.#recycler.stop();
    clearInterval(this.#sweeping);
    clearInterval(this.#watching);
    const drained = [...this.#threads.values()].map((thread) => thread.drain(ms, carries, onMigrating));
    for (const wake of this.#waiting.splice(0)) wake();
    await new Promise((next) => setImmediate(next)); // each has begun to migrate, or has been closed
    await Promise.all([...drained, within(ms, Promise.all(this.#migrations))]);
    this.#carries = false;
  }

  acceptNoMore(): Promise<unknown> {
    return Promise.all([...this.#threads.values()].map(({ acceptsNoMore }) => acceptsNoMore));
  }

  stay(): void {
    this.#carries = false;
    this.#stays = true;
    for (const thread of this.#threads.values()) thread.say({ type: 'stay' });
  }

  /** There is always room for them. */
  expect(): void {}

  share(part: number): void {
    for (const thread of this.ready) thread.say({ type: 'share', part });
  }

  snapshot(): ExecutorSnapshot {
    const living = [...this.#threads.values()].reduce((sum, { served }) => sum + served, 0);
    return { served: this.#servedByTheDead + living };
  }

  shed(): void {
    for (const thread of this.ready) thread.shed();
  }

  /** The mean of its threads. */
  load(): number | undefined {
    const { ready } = this;
    if (ready.length === 0) return undefined;
    return ready.reduce((sum, { load = 0 }) => sum + load, 0) / ready.length;
  }

  get ending(): boolean {
    return this.#draining;
  }

  /** Replaces a thread by another, which is ready before it drains. */
  async renew(thread: Thread): Promise<boolean> {
    this.#shares.push(thread.share);
    const replacement = new Promise<Thread | undefined>((born) => this.#replacements.push(born));
    this.#grow();
    const born = await replacement;
    if (!born) throw new Error(endedLoading);
    await born.ready;
    const isThere = this.#threads.has(thread.id);
    if (isThere && !thread.isLeaving) this.#retire(thread);
    // In the meantime others may have died, or this one, or the pool has another size.
    this.#fill();
    this.#trim();
    return isThere;
  }

  beware(watched: Watched): void {
    this.#watched = watched;
    for (const thread of this.#threads.values()) thread.say({ type: 'beware', watched });
  }

  get ready(): Thread[] {
    return [...this.#threads.values()].filter(({ isReady, isLeaving }) => isReady && !isLeaving);
  }

  #look(): void {
    const from = this.#wanted;
    const decision = this.#draining ? undefined : this.#scaler?.decide(this.ready, from, now());
    if (!decision) return;
    this.#wanted = decision.size;
    if (decision.size > from) this.#grownFrom ||= from;
    this.#fill();
    this.#trim();
    this.#tell({ event: 'threads-scaled', from, to: decision.size, reason: decision.reason });
  }

  /** Starts as many threads as are missing. */
  #fill(): void {
    const leaving = [...this.#threads.values()].filter(({ isLeaving }) => isLeaving).length;
    const replacing = this.#replacements.length;
    const living = this.#pool?.threads.length ?? 0;
    for (let count = living - leaving - replacing; count < this.#wanted; count++) this.#grow();
  }

  /** Has the least loaded of those leave that are too many. */
  #trim(): void {
    const byLoad = this.ready.sort((a, b) => (b.load ?? 0) - (a.load ?? 0));
    for (const thread of byLoad.slice(this.#wanted)) {
      this.#shares.push(thread.share);
      this.#retire(thread);
    }
  }

  /** One thread more. Piscina starts one for a task that none of its threads takes. */
  #grow(): void {
    const never = new AbortController();
    this.#chosen = noThread;
    this.#pool?.run(nobody, { signal: never.signal }).catch(() => {});
    never.abort();
  }

  /** It finishes what it has, and ends. */
  #retire(thread: Thread): void {
    const { gracefulTimeout } = this.#settings;
    thread.isLeaving = true;
    this.#watch.forget(thread.id);
    void thread.drain(gracefulTimeout, !this.#stays).then(() => this.#terminate(thread));
  }

  /** Before piscina hears of its end, which it tells us without the reason. */
  #hearDeath(thread: Thread): void {
    const worker = this.#pool?.threads.find(({ threadId }) => threadId === thread.id);
    worker?.prependListener('error', (error: NodeJS.ErrnoException) => {
      thread.death = deathOf(error);
    });
    worker?.prependListener('exit', (code) => {
      thread.death ??= `it exited with code ${code}`;
    });
  }

  async #load(thread: Thread): Promise<void> {
    try {
      const berth = this.#berths.take();
      this.#berthOf.set(thread, berth);
      const { share: maxConnections, taken } = thread;
      thread.say({ type: 'beware', watched: this.#watched });
      // One that is started later is to have the connections of another, or a part of them.
      const warmsUp = this.#warmsUp || !this.#onBootFailure;
      thread.say({ type: 'load', maxConnections, warmsUp, taken, place: berth.place });
      await thread.ready;
      if (this.#settings.measure) thread.expectLoad();
      this.#delay = 0; // the next one that dies says for how long again
      if (!this.#threads.has(thread.id)) return;
      this.#watch.watch(thread.id, thread.taken, () => this.#terminate(thread));
      if (this.#settings.threadAccept === 'shared') {
        // Node closes them when the thread ends, however it does.
        const { listen, migrationChannel } = this.#settings;
        thread.say({
          type: 'accept',
          listen: listen.map(duplicate),
          migrationChannel: duplicateChannel(migrationChannel),
        });
      }
      for (const serve of this.#waiting.splice(0)) serve();
      this.#shareOut();
    } catch (error) {
      if (this.#onBootFailure) return this.#onBootFailure(error as Error);
      this.#unfit(thread, (error as Error).message);
      this.#terminate(thread);
    }
  }

  /** When it has grown: connections that are kept would otherwise stay with those who had the work of all. */
  #shareOut(): void {
    const { ready } = this;
    if (this.#grownFrom === 0 || ready.length < this.#wanted) return;
    const part = 1 - this.#grownFrom / ready.length;
    this.#grownFrom = 0;
    for (const thread of ready) thread.say({ type: 'share', part });
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

  /** Gives the connection to a thread, or to another one if that dies before it took it. */
  async #give(connection: IncomingConnection, handed: Handed): Promise<void> {
    const thread = this.#balance(responsive(this.ready));
    if (!thread) {
      if (this.#draining) return this.#letGo(connection);
      await new Promise<void>((served) => this.#waiting.push(served));
      return this.#give(connection, handed);
    }
    let revoke = (): void => {};
    const revoked = new Promise<void>((taken) => {
      revoke = taken;
    }).then(() => 'revoked' as const);
    const place = thread.post(revoke);
    thread.active++;
    this.#chosen = thread.id;
    const ended = this.#run(handed)
      .then((outcome) => (outcome === 'died' && Atomics.load(thread.taken, slot.taken) <= place ? 'untaken' : 'ended'))
      .finally(() => {
        thread.settle(place);
        thread.active--;
      });
    const outcome = await Promise.race([ended, revoked]);
    if (outcome !== 'ended') return this.#give(connection, handed);
    connection.release();
  }

  /** There is no thread for it any more. */
  async #letGo(connection: IncomingConnection): Promise<void> {
    const migration = migrateUnserved(connection, this.#settings.migrationChannel, () => this.#carries);
    this.#migrations.add(migration);
    const isMigrated = await migration;
    this.#migrations.delete(migration);
    if (!isMigrated) throw new Error('the server is stopping');
  }

  /** Tasks are taken in the order in which they were posted. */
  async #run(handed: Handed): Promise<'ended' | 'died'> {
    try {
      await this.#pool?.run(handed);
      return 'ended';
    } catch {
      return 'died'; // the thread has
    }
  }

  /** Gives the connections that a thread does not come to, as its event loop is blocked, to others. */
  #sweep(): void {
    const { ready } = this;
    if (ready.every(({ isSilent }) => isSilent)) return;
    for (const thread of ready) if (thread.isSilent) thread.revoke();
  }

  #lose(id: number | undefined): void {
    const thread = id === undefined ? undefined : this.#threads.get(id);
    if (this.#onBootFailure) {
      this.#onBootFailure(new StartupError(ExitCode.app, endedLoading));
    }
    // When piscina has struck it from its list. What ends before its first word does so for want of something.
    if (!this.#draining && !this.#onBootFailure) setTimeout(() => this.#fill(), thread ? 0 : wantMs).unref();
    if (!thread) {
      this.#replacements.shift()?.(undefined);
      return;
    }
    this.#threads.delete(thread.id);
    this.#watch.forget(thread.id);
    thread.close();
    if (!thread.isLeaving) this.#shares.push(thread.share);
    this.#servedByTheDead += thread.served;
    const { id: tid } = thread;
    const requests = this.#berthOf.get(thread)?.leave() ?? [];
    for (const request of requests) this.#tell({ tid, ...endOf(request, thread.isLeaving) });
    this.#berthOf.delete(thread);
    if (thread.isLeaving || this.#draining) return;
    if (!thread.isReady) this.#unfit(thread, endedLoading);
    else {
      this.#delay = this.#backOff.died(thread.livedMs);
      const { connections, death: reason = 'it was ended' } = thread;
      this.#tell({ event: 'thread-lost', tid, connections, reason, replacedInMs: this.#delay });
    }
  }
}
