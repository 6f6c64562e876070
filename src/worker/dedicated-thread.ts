// A thread for one connection, which may come later than the thread: started, given the connection, and ended with it.
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { ExitCode, StartupError } from '../errors.js';
import { endOf } from '../events.js';
import type { Berth } from '../flight/berths.js';
import type { Watched } from '../flight/watchlist.js';
import type { ThreadWatch } from '../hang/thread-watch.js';
import { closeDescriptor } from '../os/descriptor.js';
import { newKey } from './messages.js';
import type { Tell } from './service.js';
import { threadSettings, type WorkerSettings } from './settings.js';
import { Thread } from './thread.js';
import {
  deathOf,
  endedLoading,
  type Handed,
  heapLimit,
  isHello,
  outOfMemory,
  sharedCounters,
  slot,
  type ThreadData,
} from './thread-messages.js';

const threadFile = fileURLToPath(new URL('../worker/thread-main.cjs', import.meta.url));

/** How it is told to end. */
export interface Farewell {
  /** Milliseconds. */
  readonly ms: number;
  /** Its connection is given to others, if it can be. */
  readonly carries: boolean;
  /** Called again and again while it waits for that beyond its time. */
  readonly onMigrating?: () => void;
}

export interface End {
  /** Requests. */
  readonly served: number;
  /** The connection that it was given and has not taken: it is the caller's again. */
  readonly left?: Handed;
  /** Why it ended, where it took none. */
  readonly reason: string;
}

export class LoneThread {
  /** The channel to it; undefined until it has said its first word. */
  thread: Thread | undefined;
  /** It has loaded the app. */
  isReady = false;
  /** Settles when it has; rejects with an error, mostly a `StartupError`, when it never will. */
  readonly ready: Promise<void>;
  /** Settles when it has ended. Never rejects. */
  readonly ended: Promise<End>;
  readonly #counters = sharedCounters();
  readonly #worker: Worker;
  #handed: Handed | undefined;
  #drain: Farewell | undefined;
  #hasEnded = false;

  /**
   * @param berth where it keeps record
   * @param handed the connection, which belongs to it from now on; undefined for one that waits for it
   * @throws when the system refuses another thread; the descriptor is closed then
   */
  constructor(
    settings: WorkerSettings,
    tell: Tell,
    watch: ThreadWatch,
    berth: Berth,
    watched: () => Watched,
    handed?: Handed,
  ) {
    this.#handed = handed;
    const { place } = berth;
    const helloKey = newKey();
    const only = { ...(handed && { handed }), taken: this.#counters, place };
    try {
      const { maxThreadHeap } = settings;
      this.#worker = new Worker(threadFile, {
        workerData: { settings: threadSettings(settings), only, helloKey } satisfies ThreadData,
        ...(maxThreadHeap > 0 && { resourceLimits: heapLimit(maxThreadHeap) }),
      });
    } catch (error) {
      berth.leave();
      if (handed) closeDescriptor(handed.fd);
      throw error;
    }
    const worker = this.#worker;
    const { threadId } = worker;
    let reason = 'its thread ended before it took the connection';
    let onReady = (): void => {};
    let onFailed = (_: Error): void => {};
    this.ready = new Promise((ready, failed) => {
      onReady = ready;
      onFailed = failed;
    });
    this.ready.catch(() => {}); // also when nobody waits for it
    worker.on('message', (message: unknown) => {
      if (this.thread || !isHello(message, helloKey)) return;
      const thread = new Thread(message, tell);
      this.thread = thread;
      if (!handed && this.#handed) thread.say({ type: 'serve', handed: this.#handed });
      thread.say({ type: 'beware', watched: watched() });
      if (this.#drain) this.#pass(thread, this.#drain);
      thread.ready.then(
        () => {
          if (this.#hasEnded) return;
          watch.watch(threadId, this.#counters, () => void worker.terminate());
          this.isReady = true;
          onReady();
        },
        (error: Error) => {
          reason = error.message;
          onFailed(error);
          void worker.terminate();
        },
      );
    });
    worker.on('error', (error: NodeJS.ErrnoException) => {
      reason = deathOf(error); // and 'exit' follows
      onFailed(error);
      // Of what else is uncaught it has told itself.
      if (error.code !== outOfMemory) return;
      tell({ event: 'thread-lost', tid: threadId, connections: 1, reason, replacedInMs: undefined });
    });
    this.ended = new Promise((ended) => {
      worker.on('exit', () => {
        this.#hasEnded = true;
        watch.forget(threadId);
        const isTimeOver = this.#drain !== undefined;
        for (const request of berth.leave()) tell({ tid: threadId, ...endOf(request, isTimeOver) });
        this.thread?.close();
        const isTaken = Atomics.load(this.#counters, slot.taken) > 0;
        const left = isTaken ? undefined : this.#handed;
        onFailed(new StartupError(ExitCode.app, endedLoading)); // unless it was ready
        ended({ served: this.thread?.served ?? 0, reason, ...(left && { left }) });
      });
    });
  }

  /** Gives it its connection, which belongs to it from now on. @returns false when it has ended; nothing was given */
  serve(handed: Handed): boolean {
    if (this.#hasEnded) return false;
    this.#handed = handed;
    this.thread?.say({ type: 'serve', handed });
    return true;
  }

  drain(farewell: Farewell): void {
    this.#drain = farewell;
    if (this.thread) this.#pass(this.thread, farewell);
  }

  #pass(thread: Thread, { ms, carries, onMigrating }: Farewell): void {
    void thread.drain(ms, carries, onMigrating); // `ended` says more
  }
}
