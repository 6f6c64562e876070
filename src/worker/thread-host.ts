// A worker process that hosts threads: the same strategies as in the supervisor, with threads as workers.

import { divide } from '../balance/divide.js';
import type { Placing } from '../balance/policy.js';
import { readyTimeout } from '../config/config.js';
import { Acceptor } from '../connection/acceptor.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { proxyHeaders } from '../connection/proxy-headers.js';
import { Queues } from '../connection/queues.js';
import { type LoopStack, maxLoops } from '../hang/loop-stack.js';
import { type DenylistEntries, emptyDenylist } from '../inflight/denylist.js';
import type { HostCounters } from '../metrics/host-counters.js';
import { duplicateForAcceptor } from '../migration/channel.js';
import type { MigrationPolicy } from '../migration/policy.js';
import { closeDescriptor } from '../os/descriptor.js';
import type { ExitCause } from '../reports/exit-cause.js';
import type { RequestInFlight } from '../reports/report.js';
import { retryMs } from '../scaling/recycler.js';
import type { Look, LoopView } from '../scoreboard/loop-view.js';
import type { SocketRequests } from '../secondary/requests.js';
import { SharedSockets } from '../secondary/shared-sockets.js';
import { createStrategy } from '../strategies/create.js';
import type { Hosting, Strategy } from '../strategies/strategy.js';
import type { ThreadEnd } from '../tasks/task-thread.js';
import type { DumpOrder } from './messages.js';
import type { StartOptions } from './runtime.js';
import type { DrainOrder, Service, Tell } from './service.js';
import type { ThreadGroup, WorkerSettings } from './settings.js';
import { threadRuntime } from './thread-runtime.js';
import { Worker } from './worker.js';

/** A thread that was to be ended and is not by then is blocked in native code: it ends with its process (milliseconds). */
const nativeMs = 500;
/** A thread that does not tell what it is doing by then is blocked; less than the time that the supervisor waits (milliseconds). */
const lookMs = 500;
/** The app of a thread is told that its request is overdue, and has this long until the thread ends (milliseconds). */
const overdueMs = 100;
/** As many threads are named when an unknown one is asked for. */
const maxTids = 32;
/** A thread for whose sockets there was no descriptor gets them after this time (milliseconds). */
const acceptAgainMs = 100;

/** What all event loops of the server share. */
export interface Shared {
  /** undefined if no option needs it. */
  readonly memory: SharedArrayBuffer | undefined;
  /** That of the cache, if they share one. */
  readonly cacheMemory: SharedArrayBuffer | undefined;
  /** For --admin. */
  readonly counters: HostCounters | undefined;
}

/** Told of threads, where something else than the strategy gives them their work. */
export interface ThreadListener {
  /** @returns told when it has ended, and all that it had sent has arrived */
  ready(thread: Worker): ((end: ThreadEnd) => void) | undefined;
}

export class ThreadHost implements Service {
  readonly #settings: WorkerSettings;
  #group: ThreadGroup;
  readonly #startThread: ReturnType<typeof threadRuntime>;
  readonly #strategy: Strategy;
  readonly #tell: Tell;
  readonly #counters: HostCounters | undefined;
  readonly #listener: ThreadListener | undefined;
  /** Of the app's secondary servers: for its threads. */
  readonly #sockets: SharedSockets;
  #denylist = emptyDenylist;
  #isServing = false;
  /** It drains, and its listening sockets are closed. */
  #hasClosed = false;
  #isDown = false;
  #onMigrating = (): void => {};
  /** Told in a drain when a thread cannot be ended. */
  #onStuck = (): void => {};

  /** @param sockets asks the supervisor for them */
  constructor(
    settings: WorkerSettings,
    group: ThreadGroup,
    tell: Tell,
    sockets: SocketRequests,
    { memory, cacheMemory, counters }: Shared,
    listener?: ThreadListener,
  ) {
    this.#settings = settings;
    this.#counters = counters;
    this.#listener = listener;
    this.#tell = tell;
    this.#sockets = new SharedSockets((address, told) => {
      let fd: number | undefined;
      const giveBack = sockets.ask(address, (answer) => {
        if ('address' in answer) fd = answer.fd;
        told(answer);
      });
      return (isClosed) => {
        if (fd !== undefined) closeDescriptor(fd);
        giveBack(isClosed);
      };
    });
    this.#group = group;
    this.#startThread = threadRuntime(settings, group, { memory, cacheMemory }, tell);
    this.#strategy = createStrategy(group, this.#hosting(group), 1);
  }

  async start(): Promise<void> {
    const { warmsUp, isHeld } = this.#settings.loop;
    if (warmsUp) this.#strategy.setMigration({ receives: true });
    await this.#strategy.start(isHeld);
    this.#isServing = !isHeld;
  }

  open(): void {
    if (this.#settings.loop.isHeld) this.#strategy.open();
    this.#isServing = true;
  }

  async check(): Promise<string | undefined> {
    const ready = this.#threads.filter(({ stage }) => stage === 'ready');
    const failures = await Promise.all(ready.map((thread) => thread.check()));
    return failures.find((failure) => failure !== undefined);
  }

  serve(connection: IncomingConnection): Promise<void> {
    return this.#strategy.give(connection);
  }

  async drain({ ms, othersServe, onMigrating }: DrainOrder): Promise<void> {
    this.#isServing = false; // whether it can serve does not matter any more
    this.#closeListeningSockets();
    this.#onMigrating = onMigrating;
    this.#sockets.close();
    const stuck = new Promise<void>((resolve) => {
      this.#onStuck = resolve;
    });
    await Promise.race([this.#strategy.drain(ms, othersServe), stuck]);
  }

  drainSooner(ms: number, othersServe: boolean): void {
    void this.#strategy.drain(ms, othersServe);
  }

  acceptNoMore(): Promise<void> {
    return this.#strategy.acceptNoMore();
  }

  setMigration(policy: MigrationPolicy): void {
    this.#strategy.setMigration(policy);
  }

  get answered(): number {
    return this.#strategy.snapshot().answered;
  }

  /** The mean of its threads. */
  load(): number | undefined {
    const loads = this.#threads.flatMap(({ stage, load }) => (stage === 'ready' && load !== undefined ? [load] : []));
    return loads.length > 0 ? loads.reduce((sum, load) => sum + load, 0) / loads.length : undefined;
  }

  setDenylist(denylist: DenylistEntries): void {
    this.#denylist = denylist;
    for (const thread of this.#threads) thread.setDenylist(denylist);
  }

  onCredits(told: (count: number) => void): void {
    this.#strategy.onCredits?.(told);
  }

  setPlacing(placing: Placing): void {
    this.#group = { ...this.#group, placing };
    this.#strategy.use?.(this.#hosting(this.#group));
  }

  shed(): void {
    this.#strategy.shed();
  }

  /** Its threads are asked themselves. */
  idleFor(): number {
    return -1;
  }

  /** Its own event loop serves none. */
  inFlight(): readonly RequestInFlight[] {
    return [];
  }

  async look(how: Look): Promise<readonly LoopView[]> {
    const views = await Promise.all(this.#threads.map((thread) => thread.look(how, lookMs)));
    return views.flat();
  }

  async stacks(): Promise<readonly LoopStack[]> {
    const loops = (await Promise.all(this.#threads.map((thread) => thread.stacks()))).flat();
    const isBlocked = ({ state }: LoopStack): number => (state === 'blocked' ? 1 : 0);
    return loops.sort((a, b) => isBlocked(b) - isBlocked(a)).slice(0, maxLoops);
  }

  async dump(order: DumpOrder, fd: number): Promise<string | undefined> {
    const { tid } = order;
    const thread = tid === undefined ? this.#threads[0] : this.#threads.find((one) => one.tid === tid);
    if (thread) return thread.dump({ kind: order.kind, ms: order.ms }, fd);
    closeDescriptor(fd);
    const tids = this.#threads.slice(0, maxTids).map((one) => one.tid);
    return tid === undefined ? 'it has no thread' : `it has no thread ${tid}; its threads are ${tids.join(', ')}`;
  }

  /**
   * Replaces a thread that has a request for too long.
   * @param isAlone it is ended, as it has no other request; otherwise the others are finished
   */
  async replaceOverdue(tid: number, isAlone: boolean): Promise<void> {
    const thread = this.#threads.find((one) => one.tid === tid && one.stage === 'ready');
    if (!thread) return;
    try {
      if (!(await this.#strategy.replaceOne?.(thread, 'overdue', isAlone ? overdueMs : undefined))) return;
      this.#tell({ event: 'thread-recycled', tid, reason: 'it had a request for longer than --request-deadline' });
    } catch (error) {
      this.#tell({ kind: 'thread-unfit', tid, reason: (error as Error).message, retryInMs: retryMs });
    }
  }

  get #threads(): readonly Worker[] {
    return this.#strategy.snapshot().workers;
  }

  #hosting(group: ThreadGroup): Hosting {
    const { lifecycle, migrationChannel, maxConnections, loading, sessions, backlog } = this.#settings.loop;
    const tell = this.#tell;
    const counters = this.#counters;
    const isElastic = group.range.min < group.range.max;
    const sticky = group.hostAccepts && !group.takesRequests ? sessions.sticky : undefined;
    const shares = group.isPerConnection ? [1] : divide(maxConnections, group.range.max);
    return {
      startWorker: (options) => this.#start(group, options, shares[Math.min(options.id, shares.length) - 1] ?? 1),
      workers: group.count,
      range: isElastic ? group.range : undefined,
      recycle: group.recycle,
      placing: group.placing,
      secondary: loading.secondary,
      spares: group.spares,
      probationMs: lifecycle.probation,
      limitsStarts: false,
      drainMs: lifecycle.gracefulTimeout,
      awaitsExits: false,
      endsWithHost: true,
      // The connection of a session would be given to the same thread again.
      revokes: group.hostAccepts && !group.takesRequests && !sticky,
      sessions: sticky,
      queues: new Queues([]),
      accepts: [],
      maxConnections,
      // Where its threads accept, for those that are missing; otherwise its own event loop does.
      accept: group.hasQueues
        ? (handlers) =>
            new Acceptor({
              ...handlers,
              fds: [],
              backlog,
              limit: maxConnections,
              isShared: false,
              handsOver: true,
              proxyHeaders: proxyHeaders(this.#settings.loop, (count, refused) =>
                tell({ event: 'proxy-refused', count, ...refused }),
              ),
            })
        : undefined,
      migrationChannel,
      listener: {
        died: ({ tid, readyMs }, { reason, connections }, replacedInMs) => {
          // Otherwise the connection that it was started for is reported as lost.
          if (readyMs !== undefined) tell({ kind: 'thread-lost', tid, connections, reason, replacedInMs });
        },
        serverClosed: ({ tid }, replacedInMs) => tell({ kind: 'server-closed', tid, replacedInMs }),
        unfit: (_, thread, { message: reason }, retryInMs) =>
          tell({ kind: 'thread-unfit', tid: thread?.tid ?? 0, reason, retryInMs }),
        recycled: ({ tid }, reason) => tell({ event: 'thread-recycled', tid, reason }),
        recycleFailed: ({ tid }, reason) => tell({ kind: 'thread-unfit', tid, reason, retryInMs: retryMs }),
        // A pool that could not grow tries again, and each thread that cannot start is reported.
        scaled: (from, to, reason) => tell({ kind: 'threads-scaled', from, to, reason }),
        connectionLost: (reason) => {
          counters?.unserved();
          tell({ event: 'connection-lost', reason });
        },
        placed: counters && ((policy) => counters.placed(policy)),
        sessionsPlacedAgain: (count) => tell({ kind: 'sessions-placed-again', count }),
        changed: () => this.#tellWhetherDown(),
      },
    };
  }

  #tellWhetherDown(): void {
    if (!this.#isServing) return;
    const isDown = this.#strategy.health === 'down';
    if (isDown === this.#isDown) return;
    this.#isDown = isDown;
    this.#tell({ kind: isDown ? 'threads-down' : 'threads-up' });
  }

  #start({ hostAccepts }: ThreadGroup, options: StartOptions, maxConnections: number): Worker {
    const { listen, loop } = this.#settings;
    const accepts = hostAccepts ? [] : (listen[(options.id - 1) % listen.length] ?? []);
    const { loading, measure } = loop;
    let onEnd: ReturnType<ThreadListener['ready']>;
    let endCause: ExitCause = 'exit';
    const worker = new Worker({
      ...options,
      unit: this.#startThread(options, maxConnections),
      bootMs: readyTimeout(loading),
      isMeasured: measure !== undefined,
      accepts,
      maxConnections,
      listener: {
        tell: this.#tell,
        killed: (thread) => void setTimeout(() => thread.stage !== 'gone' && this.#onStuck(), nativeMs),
        migrating: () => this.#onMigrating(),
        listen: (thread, id, address) => this.#sockets.listen(thread, id, address),
        unlisten: (thread, id, isClosed) => this.#sockets.unlisten(thread, id, isClosed),
        ended: (_, cause) => {
          endCause = cause;
          this.#counters?.ended('thread', cause);
        },
        ready: () => {
          this.#counters?.started('thread');
          onEnd = this.#listener?.ready(worker);
          if (!hostAccepts) this.#letAccept(worker);
        },
      },
    });
    void worker.exit.then(({ reason }) => onEnd?.({ reason, cause: endCause }));
    worker.setDenylist(this.#denylist);
    return worker;
  }

  /** Its threads accept on copies, which they close themselves: the last one to be closed refuses new clients. */
  #closeListeningSockets(): void {
    if (this.#group.hostAccepts || this.#hasClosed) return;
    this.#hasClosed = true;
    for (const fd of this.#settings.listen.flat()) closeDescriptor(fd);
  }

  #letAccept(thread: Worker): void {
    if (thread.stage === 'gone' || this.#hasClosed) return;
    try {
      // Node closes these descriptors when the thread ends, however it does.
      const copies = duplicateForAcceptor(thread.accepts, this.#settings.loop.migrationChannel);
      thread.send({ type: 'accept', ...copies });
    } catch {
      setTimeout(() => this.#letAccept(thread), acceptAgainMs).unref(); // clients, or the app, have all descriptors
    }
  }
}
