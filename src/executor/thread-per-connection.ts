// Runs each connection on a thread of its own, which is started for it and ends with it.
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { slowestFirst } from '../balance/slowest.js';
import { ExitCode, StartupError } from '../errors.js';
import { closeDescriptor, descriptorOf, duplicate } from '../os/descriptor.js';
import type { WorkerSettings } from '../process/settings.js';
import type { Executor, ExecutorSnapshot, Tell } from './executor.js';
import { allSettledWithin, Thread } from './thread.js';
import { isHello, type ThreadData } from './thread-messages.js';

const threadFile = fileURLToPath(new URL('../executor/thread-entry.cjs', import.meta.url));
/** A thread that does not say within this time how long it has been idle is busy (milliseconds). */
const answerWithin = 100;

export class ThreadPerConnection implements Executor {
  readonly #settings: WorkerSettings;
  readonly #tell: Tell;
  readonly #threads = new Set<Thread>();
  readonly #ends = new Set<Promise<void>>();
  #served = 0;
  #shedding = false;
  /** What a thread that starts in the middle of a drain is told at once. */
  #drainMs: number | undefined;

  constructor(settings: WorkerSettings, tell: Tell) {
    this.#settings = settings;
    this.#tell = tell;
  }

  /** One thread loads the app and ends: what cannot be loaded should be known before the first client comes. */
  async start(): Promise<void> {
    const worker = new Worker(threadFile, { workerData: { settings: this.#settings } satisfies ThreadData });
    await new Promise<void>((ready, failed) => {
      worker.on('message', (message: unknown) => {
        if (!isHello(message)) return;
        const thread = new Thread(message, this.#tell);
        thread.say({ type: 'load', listen: [], maxConnections: 1, taken: thread.taken });
        thread.ready.then(ready, failed);
      });
      worker.on('error', failed);
      worker.on('exit', () => {
        failed(
          new StartupError(ExitCode.app, 'the app ended its thread while it was loading (does it call process.exit?)'),
        );
      });
    });
    void worker.terminate();
  }

  async run(socket: Socket): Promise<void> {
    const original = descriptorOf(socket);
    if (original === undefined) return;
    const fd = duplicate(original);
    socket.destroy(); // closes one of two descriptors, and sends nothing
    const end = this.#serve(fd);
    this.#ends.add(end);
    await end.finally(() => this.#ends.delete(end));
  }

  async drain(ms: number): Promise<void> {
    this.#drainMs = ms;
    for (const thread of this.#threads) thread.say({ type: 'drain', ms });
    await allSettledWithin(ms, [...this.#ends]);
  }

  snapshot(): ExecutorSnapshot {
    return { served: [...this.#threads].reduce((sum, { served }) => sum + served, this.#served) };
  }

  shed(): void {
    if (this.#shedding) return;
    this.#shedding = true;
    const asked = [...this.#threads].map(async (thread) => [thread, await thread.idleFor(answerWithin)] as const);
    void Promise.all(asked).then((threads) => {
      for (const thread of slowestFirst(threads)) thread.say({ type: 'shed' });
      this.#shedding = false;
    });
  }

  /** Settles when the thread has ended. */
  #serve(fd: number): Promise<void> {
    const taken = new Int32Array(new SharedArrayBuffer(4));
    const workerData: ThreadData = { settings: this.#settings, only: { fd, taken } };
    return new Promise((ended) => {
      let thread: Thread | undefined;
      let reason = 'its thread ended before it took the connection';
      const worker = new Worker(threadFile, { workerData });
      worker.on('message', (message: unknown) => {
        if (!isHello(message)) return;
        thread = new Thread(message, this.#tell);
        this.#threads.add(thread);
        if (this.#drainMs !== undefined) thread.say({ type: 'drain', ms: this.#drainMs });
        thread.ready.catch((error: Error) => {
          reason = error.message;
          void worker.terminate();
        });
      });
      worker.on('error', (error: Error) => {
        reason = error.message; // and 'exit' follows
      });
      worker.on('exit', () => {
        if (Atomics.load(taken, 0) === 0) {
          closeDescriptor(fd); // it is still ours
          this.#tell({ event: 'connection-lost', reason });
        }
        if (thread) {
          this.#threads.delete(thread);
          thread.close();
          this.#served += thread.served;
        }
        ended();
      });
    });
  }
}
