// A thread as the worker process sees it: the channel to it, what it said, and how many of the connections that
// were posted to it it has taken.
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { now } from '../clock.js';
import { StartupError } from '../errors.js';
import type { Tell } from './executor.js';
import type { FromThread, Hello, ToThread } from './thread-messages.js';

export class Thread {
  readonly id: number;
  /** Settles when its app has loaded; rejects with a `StartupError`. */
  readonly ready: Promise<void>;
  /** Settles when its connections have ended after `drain`, or it has ended itself. */
  readonly drained: Promise<void>;
  /** Connections that it has taken, counted by itself in memory that both sides see. */
  readonly taken = new Int32Array(new SharedArrayBuffer(4));
  /** Connections posted to it so far, and those of them that have not ended. */
  posted = 0;
  active = 0;
  isReady = false;
  served = 0;
  readonly #port: MessagePort;
  #readyAt = 0;
  readonly #hear: (message: FromThread) => void;
  #onIdle: ((ms: number) => void) | undefined;

  constructor({ threadId, port }: Hello, tell: Tell) {
    this.id = threadId;
    this.#port = port;
    let onReady = (): void => {};
    let onFailed = (_: StartupError): void => {};
    let onDrained = (): void => {};
    this.ready = new Promise((resolve, reject) => {
      onReady = resolve;
      onFailed = reject;
    });
    this.ready.catch(() => {}); // also when nobody waits for it
    this.drained = new Promise((resolve) => {
      onDrained = resolve;
    });
    const handlers: { readonly [T in FromThread['type']]: (message: Extract<FromThread, { type: T }>) => void } = {
      ready: () => {
        this.isReady = true;
        this.#readyAt = now();
        onReady();
      },
      failed: ({ exitCode, message, stack }) => onFailed(Object.assign(new StartupError(exitCode, message), { stack })),
      served: ({ count }) => {
        this.served += count;
      },
      idle: ({ ms }) => this.#onIdle?.(ms),
      event: ({ event }) => tell(event),
      drained: () => onDrained(),
    };
    this.#hear = (message) => handlers[message.type](message as never);
    port.on('message', this.#hear);
    port.once('close', onDrained); // it has ended, drained or not
  }

  /** Milliseconds since it was ready; 0 if it never was. */
  get livedMs(): number {
    return this.isReady ? now() - this.#readyAt : 0;
  }

  say(message: ToThread): void {
    this.#port.postMessage(message);
  }

  /** For how long its slowest client has kept it waiting (milliseconds); -1 while it is the app's turn. */
  idleFor(deadlineMs: number): Promise<number> {
    return new Promise((answer) => {
      const late = setTimeout(answer, deadlineMs, -1); // a thread that does not answer is busy
      this.#onIdle = (ms) => {
        clearTimeout(late);
        answer(ms);
      };
      this.say({ type: 'idle?' });
    });
  }

  /** When the thread has ended: its last words may still be in the channel. */
  close(): void {
    for (let last = receiveMessageOnPort(this.#port); last; last = receiveMessageOnPort(this.#port)) {
      this.#hear(last.message);
    }
    this.#port.close();
  }
}

/** What a thread may take, after its deadline to end its connections, to say so (milliseconds). */
const lastWord = 200;

export async function allSettledWithin(ms: number, promises: readonly Promise<void>[]): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms + lastWord);
  });
  await Promise.race([Promise.all(promises), late]);
  clearTimeout(timer);
}
