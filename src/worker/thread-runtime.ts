// Starts worker threads and hands connections to them, as copies of their descriptors. A thread that serves one connection
// is started directly; the threads of a pool are piscina's. What is odd about a task pool that only keeps threads alive is
// in `piscinaThreads`.
import { fileURLToPath } from 'node:url';
import { MessagePort, Worker as NodeThread, receiveMessageOnPort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { IncomingConnection } from '../connection/incoming.js';
import { ExitCode, StartupError } from '../errors.js';
import { threadWatch, type WatchThread } from '../hang/thread-watch.js';
import { type RegionLease, RegionPool } from '../inflight/regions.js';
import { type FromWorker, newKey, type ToWorker, unkeyed } from './messages.js';
import type { StartOptions, Unit, UnitExit } from './runtime.js';
import type { Tell } from './service.js';
import type { ThreadData, ThreadGroup, ThreadSettings, WorkerSettings } from './settings.js';
import { counter, createCounters } from './thread-counters.js';

const threadFile = fileURLToPath(new URL('../worker/thread-main.cjs', import.meta.url));

/** What a thread may take to say that it has drained (milliseconds). */
const exitGraceMs = 1000;
const outOfMemory = 'ERR_WORKER_OUT_OF_MEMORY';

/** @throws Error when the system refuses another thread */
type StartThread = (data: ThreadData) => NodeThread;

/** @returns a function that starts a thread of the host. @throws Error when the system refuses another one */
export function threadRuntime(
  { loop, journal }: WorkerSettings,
  group: ThreadGroup,
  tell: Tell,
): (start: StartOptions, maxConnections: number) => Unit {
  const { isPerConnection: once } = group;
  const startThread = once ? dedicatedThreads(group) : piscinaThreads(group);
  const watch = threadWatch(loop.lifecycle.hangTimeout, tell);
  // Mapping would cost more than a thread for one connection.
  const regions = journal && new RegionPool(journal, !once);
  return (start, maxConnections) =>
    new ThreadUnit(startThread, watch, regions?.lease(), { ...loop, ...start, once, maxConnections });
}

class ThreadUnit implements Unit {
  readonly pid = process.pid;
  readonly tid: number;
  readonly exitGraceMs = exitGraceMs;
  readonly exited: Promise<UnitExit>;
  /** Its memory is that of its process, and so is its processor time. */
  readonly memory = 0;
  readonly wantedCpuMs = undefined;
  readonly #thread: NodeThread;
  readonly #watch: WatchThread;
  readonly #counters = createCounters();
  #port: MessagePort | undefined;
  /** Messages until there is a port. */
  readonly #unsent: ToWorker[] = [];
  #unwatch = (): void => {};
  #hear = (_: FromWorker): void => {};
  #reason: string | undefined;
  /** It has taken the descriptors of these, or still may. */
  readonly #handedOver = new Map<number, IncomingConnection>();

  /** @param lease undefined if it keeps no record of its requests in flight */
  constructor(startThread: StartThread, watch: WatchThread, lease: RegionLease | undefined, settings: ThreadSettings) {
    this.#watch = watch;
    const helloKey = newKey();
    const journal = lease && { region: lease.region };
    try {
      this.#thread = startThread({ settings, helloKey, counters: this.#counters, journal });
    } catch (error) {
      lease?.release();
      throw error;
    }
    const thread = this.#thread;
    this.tid = thread.threadId; // Node forgets it when the thread has ended
    thread.on('message', (message: unknown) => {
      const port = unkeyed(helloKey, message);
      if (this.#port || !(port instanceof MessagePort)) return; // a message of the app
      this.#port = port;
      port.on('message', (message: FromWorker) => this.#hear(message));
      for (const unsent of this.#unsent.splice(0)) port.postMessage(unsent);
    });
    // Before piscina, which hears of both, too.
    thread.prependListener('error', ({ code, message }: NodeJS.ErrnoException) => {
      this.#reason = code === outOfMemory ? 'its heap was full (--max-thread-heap)' : message;
    });
    this.exited = new Promise((exited) => {
      thread.prependListener('exit', (code) => {
        this.#unwatch();
        this.#hearLastMessages();
        exited({
          code,
          signal: null,
          reason: this.#reason ?? `it exited with code ${code}`,
          requests: lease?.release() ?? [],
        });
      });
    });
  }

  get handled(): number {
    return counter.taken(this.#counters);
  }

  get accepted(): number {
    return counter.accepted(this.#counters);
  }

  listen(listener: (message: FromWorker) => void): void {
    this.#hear = (message) => {
      if (message.type === 'ended') this.#ended(message.id);
      listener(message);
    };
  }

  send(message: ToWorker): void {
    if (this.#port) this.#port.postMessage(message);
    else this.#unsent.push(message);
  }

  hand(connection: IncomingConnection, id: number): boolean {
    const fd = connection.detach();
    if (fd === undefined) return false;
    this.#handedOver.set(id, connection);
    this.send({ type: 'connection', id, fd, facts: connection.facts });
    return true;
  }

  /** In one step: the thread takes a connection by the same counter. */
  revoke(handed: number): boolean {
    const { handled } = this;
    if (handled === handed || !counter.take(this.#counters, handled, handed)) return false;
    for (const id of this.#handedOver.keys()) if (id > handled) this.#handedOver.delete(id);
    return true;
  }

  watch(): void {
    this.#unwatch = this.#watch(
      this.tid,
      () => counter.dueBy(this.#counters),
      () => this.kill(),
    );
  }

  kill(): void {
    void this.#thread.terminate();
  }

  /** What the thread has taken was its own, and it has closed that. */
  #ended(id: number): void {
    if (id <= this.handled) this.#handedOver.get(id)?.release();
    this.#handedOver.delete(id);
  }

  /** They may still be in the channel. */
  #hearLastMessages(): void {
    const port = this.#port;
    if (!port) return;
    for (let last = receiveMessageOnPort(port); last; last = receiveMessageOnPort(port)) this.#hear(last.message);
    port.close();
    for (const id of [...this.#handedOver.keys()]) this.#ended(id);
  }
}

function dedicatedThreads(group: ThreadGroup): StartThread {
  return (workerData) => new NodeThread(threadFile, { workerData, ...heapLimit(group) });
}

/** Piscina starts a thread for a task that none of its threads takes. Here none takes any: connections go another way. */
function piscinaThreads(group: ThreadGroup): StartThread {
  const pool = new Piscina({
    filename: threadFile,
    minThreads: 0, // piscina replaces no thread by itself
    maxThreads: 2 * group.range.max, // each may be replaced while it finishes what it has
    idleTimeout: Number.POSITIVE_INFINITY,
    ...heapLimit(group),
    // With atomics an idle thread would sleep in Atomics.wait, and the app's sockets and timers with it.
    atomics: 'disabled',
    recordTiming: false,
    loadBalancer: (_task, _threads) => null, // piscina wants two parameters
  });
  pool.on('error', () => {}); // each `ThreadUnit` hears of its own thread
  return (data) => {
    const before = new Set(pool.threads);
    const never = new AbortController();
    (pool.options as { workerData: ThreadData }).workerData = data;
    pool.run({}, { signal: never.signal }).catch(() => {});
    never.abort();
    const thread = pool.threads.find((one) => !before.has(one));
    if (!thread) throw new StartupError(ExitCode.boot, 'the pool of threads has no room for another one');
    return thread;
  };
}

function heapLimit({ recycle: { maxThreadHeap } }: ThreadGroup): {
  resourceLimits?: { maxOldGenerationSizeMb: number };
} {
  return maxThreadHeap > 0
    ? { resourceLimits: { maxOldGenerationSizeMb: Math.max(1, Math.round(maxThreadHeap / 1024 ** 2)) } }
    : {};
}
