// A thread as the worker process sees it: the channel to it, what it said, and how many of the connections that
// were posted to it it has taken.
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { MovingDeadline, migratingMs, now } from '../clock.js';
import { ExitCode, StartupError } from '../errors.js';
import { HeardLoad } from '../upkeep/heard-load.js';
import type { Tell } from './service.js';
import { endedLoading, type FromThread, type Hello, sharedCounters, slot, type ToThread } from './thread-messages.js';

export class Thread {
  readonly id: number;
  /** Settles when its app has loaded; rejects with a `StartupError`. */
  readonly ready: Promise<void>;
  /** Settles when it accepts no connection any more, as it drains or has ended. */
  readonly acceptsNoMore: Promise<void>;
  /** Settles when its connections have ended after `drain`, or it has ended itself. */
  readonly drained: Promise<void>;
  /** Connections that it has taken, counted by itself in memory that both sides see. */
  readonly taken = sharedCounters();
  /** The most connections that it may have. */
  readonly share: number;
  /** Those of the connections posted to it that have not ended. */
  active = 0;
  isReady = false;
  /** It could not load the app, and its end has been seen to. */
  isUnfit = false;
  served = 0;
  /** It has been replaced, and finishes what it has. */
  isLeaving = false;
  /** Why it has ended, once it has. */
  death: string | undefined;
  /** Its memory is that of its process. */
  readonly memory = 0;
  readonly #port: MessagePort;
  #posted = 0;
  /** By the places of those that have not ended: whom to tell when they are taken from it. */
  readonly #revocable = new Map<number, () => void>();
  /** Those that were, as long as it has not seen that. */
  #revoked = 0;
  #readyAt = 0;
  /** How many it had taken at the last look, and since when that has not changed. */
  #seen = 0;
  #seenAt = 0;
  readonly #hear: (message: FromThread) => void;
  readonly #onEnd: () => void;
  readonly #load = new HeardLoad();
  #onIdle: ((ms: number) => void) | undefined;
  #onMigrating = (): void => {};

  constructor({ threadId, port }: Hello, tell: Tell, share = 1) {
    this.id = threadId;
    this.share = share;
    this.#port = port;
    let onReady = (): void => {};
    let onFailed = (_: StartupError): void => {};
    let onDraining = (): void => {};
    let onDrained = (): void => {};
    this.ready = new Promise((resolve, reject) => {
      onReady = resolve;
      onFailed = reject;
    });
    this.#onEnd = () => onFailed(new StartupError(ExitCode.app, endedLoading)); // unless it was ready
    this.ready.catch(() => {}); // also when nobody waits for it
    this.acceptsNoMore = new Promise((resolve) => {
      onDraining = resolve;
    });
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
      load: ({ load }) => {
        this.#load.heard(load);
      },
      draining: () => onDraining(),
      migrating: () => this.#onMigrating(),
      idle: ({ ms }) => this.#onIdle?.(ms),
      event: ({ event }) => tell(event),
      drained: () => onDrained(),
    };
    this.#hear = (message) => handlers[message.type](message as never);
    port.on('message', this.#hear);
    port.once('close', () => {
      // It has ended, drained or not.
      onDraining();
      onDrained();
    });
  }

  /** It is ready, and its load is measured. */
  expectLoad(): void {
    this.#load.expect();
  }

  /** From 0 to 1; undefined while it is not measured. */
  get load(): number | undefined {
    return this.#load.value;
  }

  get readyMs(): number {
    return this.livedMs;
  }

  /** Milliseconds since it was ready; 0 if it never was. */
  get livedMs(): number {
    return this.isReady ? now() - this.#readyAt : 0;
  }

  /** It leaves connections that were posted to it untaken: its event loop is blocked. */
  get isSilent(): boolean {
    if (this.#revoked > 0) return true; // it has not even seen that they were taken from it
    const taken = Atomics.load(this.taken, slot.taken);
    if (taken !== this.#seen || taken === this.#posted) {
      this.#seen = taken;
      this.#seenAt = now();
    }
    return now() - this.#seenAt > silence;
  }

  /** Open connections of the thread, those that it has accepted itself included. */
  get connections(): number {
    return this.active + Atomics.load(this.taken, slot.accepted);
  }

  /**
   * Counts a connection as posted.
   * @param onRevoked called when it was taken from it again
   * @returns its place: the thread has it once `taken` is greater
   */
  post(onRevoked: () => void): number {
    void this.isSilent; // looks
    this.#revocable.set(this.#posted, onRevoked);
    return this.#posted++;
  }

  /** It has come to the connection of this place, or has ended. */
  settle(place: number): void {
    if (!this.#revocable.delete(place)) this.#revoked--;
  }

  /** Takes from it the connections that it has not come to. */
  revoke(): void {
    const taken = Atomics.load(this.taken, slot.taken);
    // Unless it comes to one at this moment.
    if (Atomics.compareExchange(this.taken, slot.taken, taken, this.#posted) !== taken) return;
    for (let place = taken; place < this.#posted; place++) {
      const onRevoked = this.#revocable.get(place);
      if (!this.#revocable.delete(place)) continue;
      this.#revoked++;
      onRevoked?.();
    }
  }

  /**
   * Has it finish within `ms` milliseconds, or longer while its connections still change hands.
   * @param onMigrating called again and again in that case
   * @returns settles when it is drained, or has not said so in time: one that is stuck cannot
   */
  async drain(ms: number, carries: boolean, onMigrating = () => {}): Promise<void> {
    const deadline = new MovingDeadline(ms + lastWord);
    const before = this.#onMigrating;
    this.#onMigrating = () => {
      before();
      deadline.prolong(Math.max(migratingMs, ms) + lastWord);
      onMigrating();
    };
    this.say({ type: 'drain', ms, carries });
    await deadline.within(this.drained);
  }

  shed(): void {
    this.say({ type: 'shed' });
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
    this.#onEnd();
  }
}

/** One that has left a connection untaken for this long is stuck, and gets no further ones (milliseconds). */
const silence = 500;

/** What a thread may take, after its deadline to end its connections, to say so (milliseconds). */
export const lastWord = 1000;
