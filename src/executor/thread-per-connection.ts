// Runs each connection on a thread of its own, which is started for it and ends with it.
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { shedder } from '../balance/shedder.js';
import { within } from '../clock.js';
import { ExitCode, StartupError } from '../errors.js';
import { closeDescriptor, detach } from '../os/descriptor.js';
import type { WorkerSettings } from '../process/settings.js';
import type { Executor, ExecutorSnapshot, Tell } from './executor.js';
import { lastWord, Thread } from './thread.js';
import { endedLoading, isHello, type ThreadData } from './thread-messages.js';

const threadFile = fileURLToPath(new URL('../executor/thread-entry.cjs', import.meta.url));

export class ThreadPerConnection implements Executor {
  readonly #settings: WorkerSettings;
  readonly #tell: Tell;
  readonly #threads = new Set<Thread>();
  readonly #ends = new Set<Promise<void>>();
  #served = 0;
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
        failed(new StartupError(ExitCode.app, endedLoading));
      });
    });
    void worker.terminate();
  }

  async run(socket: Socket): Promise<void> {
    const end = this.#serve(socket).catch((error: Error) => {
      this.#tell({ event: 'connection-lost', reason: error.message });
    });
    this.#ends.add(end);
    await end;
    this.#ends.delete(end);
  }

  async drain(ms: number): Promise<void> {
    this.#drainMs = ms;
    for (const thread of this.#threads) thread.say({ type: 'drain', ms });
    await within(ms + lastWord, Promise.all(this.#ends));
  }

  snapshot(): ExecutorSnapshot {
    return { served: [...this.#threads].reduce((sum, { served }) => sum + served, this.#served) };
  }

  readonly shed = shedder(() => this.#threads);

  /** Settles when the connection has ended. */
  async #serve(socket: Socket): Promise<void> {
    const fd = detach(socket);
    if (fd === undefined) return;
    const taken = new Int32Array(new SharedArrayBuffer(4));
    const worker = this.#start({ fd, taken });
    await new Promise<void>((ended) => {
      let thread: Thread | undefined;
      let reason = 'its thread ended before it took the connection';
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

  /** @throws when the system refuses another thread; the descriptor is closed then. */
  #start(only: NonNullable<ThreadData['only']>): Worker {
    try {
      return new Worker(threadFile, { workerData: { settings: this.#settings, only } satisfies ThreadData });
    } catch (error) {
      closeDescriptor(only.fd);
      throw error;
    }
  }
}
