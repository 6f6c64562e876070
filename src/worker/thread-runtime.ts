// Starts worker threads and hands connections to them, as copies of their descriptors. A thread that serves one connection
// is started directly; the threads of a pool are piscina's. What is odd about a task pool that only keeps threads alive is
// in `piscinaThreads`.
import { fileURLToPath } from 'node:url';
import { MessagePort, Worker as NodeThread, receiveMessageOnPort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { IncomingConnection } from '../connection/incoming.js';
import { ExitCode, StartupError } from '../errors.js';
import { captureStack } from '../hang/stack-capture.js';
import { threadWatch, type WatchThread } from '../hang/thread-watch.js';
import { RegionPool } from '../inflight/regions.js';
import { partOf } from '../memory/parts.js';
import { duplicate } from '../os/descriptor.js';
import { SlotPool } from '../overload/slot-pool.js';
import type { LostRequest, RequestInFlight } from '../reports/report.js';
import type { Entries } from '../tasks/wire.js';
import { type FromWorker, newKey, type ToWorker, unkeyed } from './messages.js';
import type { StartOptions, Unit, UnitExit } from './runtime.js';
import type { Tell } from './service.js';
import type { ThreadData, ThreadGroup, WorkerSettings } from './settings.js';
import { acceptedByAll, claimsOn, counter, createAccepted, createCounters } from './thread-counters.js';

const threadFile = fileURLToPath(new URL('../worker/thread-main.cjs', import.meta.url));

/** What a thread may take to say that it has drained (milliseconds). */
const exitGraceMs = 1000;
const outOfMemory = 'ERR_WORKER_OUT_OF_MEMORY';

/** @throws Error when the system refuses another thread */
type StartThread = (data: ThreadData) => NodeThread;

/**
 * @param shared what all event loops of the server share; undefined if no option needs it
 * @returns a function that starts a thread of the host, and throws when the system refuses another one
 */
export function threadRuntime(
  { loop, journal, slots: ownSlots }: WorkerSettings,
  group: ThreadGroup,
  { memory, cacheMemory }: Pick<ThreadData, 'memory' | 'cacheMemory'>,
  tell: Tell,
): (start: StartOptions, maxConnections: number) => Unit {
  const { isPerConnection: once, hostAccepts, range, takesRequests } = group;
  const startThread = once ? dedicatedThreads(group) : piscinaThreads(group);
  const watch = threadWatch(loop.lifecycle.hangTimeout, tell);
  // Mapping would cost more than a thread for one connection.
  const regions = journal && new RegionPool(journal, !once);
  // Where they take requests, their process counts these.
  const slots = memory && ownSlots && !takesRequests && new SlotPool(partOf(memory, 'places'), ownSlots);
  const accepted = createAccepted();
  return (start, maxConnections) => {
    const place = slots ? slots.lease() : undefined;
    const region = regions?.lease();
    const release = (): readonly LostRequest[] => {
      place?.release();
      return region?.release() ?? [];
    };
    const data: ThreadData = {
      settings: { ...loop, ...start, once, maxConnections },
      tasksAtOnce: takesRequests ? group.tasksPerThread : 0,
      helloKey: newKey(),
      counters: createCounters(),
      acceptors: hostAccepts ? 1 : range.max,
      accepted,
      journal: region && { region: region.region },
      memory,
      // Where they take requests, their process has the cache.
      cacheMemory: takesRequests ? undefined : cacheMemory,
      slot: place?.slot,
    };
    try {
      return unitOf(startThread(data), data, { inFlight: () => region?.inFlight() ?? [], release }, watch);
    } catch (error) {
      release();
      throw error;
    }
  };
}

/** The first message of a thread. */
export interface Hello {
  readonly port: MessagePort;
  /** Where it takes requests from. */
  readonly tasks: MessagePort | undefined;
}

/** What a thread has of shared memory. */
interface Lease {
  inFlight(): readonly RequestInFlight[];
  /** Frees it, and returns the requests that were in flight. */
  release(): readonly LostRequest[];
}

function unitOf(
  thread: NodeThread,
  { helloKey, counters, accepted }: ThreadData,
  { inFlight, release }: Lease,
  watch: WatchThread,
): Unit {
  const tid = thread.threadId; // Node forgets it when the thread has ended
  let port: MessagePort | undefined;
  let tasks: MessagePort | undefined;
  let hearTasks = (_: Entries): void => {};
  /** Messages until there is a port. */
  const unsent: ToWorker[] = [];
  let hear = (_: FromWorker): void => {};
  let unwatch = (): void => {};
  let mayBlock = false;
  let reason: string | undefined;
  let cause: UnitExit['cause'];
  /** It has taken the descriptors of these, or still may. */
  const handedOver = new Map<number, IncomingConnection>();

  const send = (message: ToWorker): void => {
    if (port) port.postMessage(message);
    else unsent.push(message);
  };
  const kill = (): void => void thread.terminate();
  const move = (directory: string): void => {
    try {
      process.chdir(directory);
    } catch {} // the thread sees that it is still where it was
    counter.countMove(counters);
  };
  /** What the thread has taken was its own, and it has closed that. */
  const forget = (id: number): void => {
    if (id <= counter.taken(counters)) handedOver.get(id)?.release();
    handedOver.delete(id);
  };
  /** They may still be in the channel. */
  const hearLastMessages = (): void => {
    if (!port) return;
    for (let last = receiveMessageOnPort(port); last; last = receiveMessageOnPort(port)) hear(last.message);
    port.close();
    for (const id of [...handedOver.keys()]) forget(id);
    if (!tasks) return;
    for (let last = receiveMessageOnPort(tasks); last; last = receiveMessageOnPort(tasks)) hearTasks(last.message);
    tasks.close();
  };

  thread.on('message', (message: unknown) => {
    const received = unkeyed(helloKey, message) as Hello | undefined;
    if (port || !(received?.port instanceof MessagePort)) return; // a message of the app
    tasks = received.tasks;
    port = received.port.on('message', (message: FromWorker) => hear(message));
    for (const message of unsent.splice(0)) send(message);
  });
  // Before piscina, which hears of both, too.
  thread.prependListener('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (code === outOfMemory) cause = 'out-of-memory';
    reason = code === outOfMemory ? 'its heap was full (--max-thread-heap)' : message;
  });
  const exited = new Promise<UnitExit>((exited) => {
    thread.prependListener('exit', (code) => {
      unwatch();
      acceptedByAll.add(accepted, -counter.accepted(counters)); // closed with it
      hearLastMessages();
      reason ??= `it exited with code ${code}`;
      exited({ code, signal: null, reason, cause, requests: release() });
    });
  });

  return {
    pid: process.pid,
    tid,
    exitGraceMs,
    exited,
    // Its memory is that of its process, and so is its processor time.
    memory: 0,
    wantedCpuMs: undefined,
    get handled() {
      return counter.taken(counters);
    },
    get waitsForEvents() {
      // Between two looks its idle time grows, or stays the same while it runs code.
      const { idle } = thread.performance.eventLoopUtilization();
      return thread.performance.eventLoopUtilization().idle > idle;
    },
    get accepted() {
      return counter.accepted(counters);
    },
    get tasks() {
      const port = tasks;
      if (!port) return undefined;
      return {
        postMessage: (value: unknown, transfer: ArrayBuffer[] | undefined) => port.postMessage(value, transfer),
        claims: claimsOn(counters),
        onMessage(listener: (entries: Entries) => void) {
          hearTasks = listener;
          port.on('message', listener);
        },
      };
    },
    inFlight,
    listen(listener) {
      hear = (message) => {
        if (message.type === 'ended') forget(message.id);
        if (message.type === 'chdir') move(message.directory);
        listener(message);
      };
    },
    send,
    hand(connection, id) {
      const fd = connection.detach();
      if (fd === undefined) return false;
      handedOver.set(id, connection);
      send({ type: 'connection', id, fd, facts: connection.facts });
      return true;
    },
    // Node closes the copy when the thread ends, however it does.
    sendSocket(message) {
      const { answer } = message;
      const isOpen = 'address' in answer && answer.fd !== undefined;
      send(isOpen ? { ...message, answer: { ...answer, fd: duplicate(answer.fd) } } : message);
    },
    // In one step: the thread takes a connection by the same counter.
    revoke(handed) {
      const handled = counter.taken(counters);
      if (handled === handed || !counter.take(counters, handled, handed)) return undefined;
      for (const id of handedOver.keys()) if (id > handled) handedOver.delete(id);
      return handled;
    },
    sendDump(message, fd) {
      send({ ...message, fd: duplicate(fd) });
    },
    interrupt(question) {
      captureStack(tid, 'answer', question).catch(() => {}); // the thread has ended, or answers no question
      return undefined;
    },
    setMayBlock(may) {
      mayBlock = may;
    },
    watch() {
      const killBlocked = (): void => {
        cause = 'hang';
        kill();
      };
      unwatch = watch(tid, () => (mayBlock ? undefined : counter.dueBy(counters)), killBlocked);
    },
    kill,
  };
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
  pool.on('error', () => {}); // each unit hears of its own thread
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
