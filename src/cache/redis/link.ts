// Keeps one connection to the store: makes another one after a failure, leaves the store alone for a while after several, and
// says in time when it does not answer. What it is asked for never rejects: without the store a request goes to the app.
import type { CacheStoreError } from '../../metrics/layout.js';
import type { Breaker } from './breaker.js';
import type { Command, Connection } from './client.js';
import { garbage, reasonOf, StoreFailure } from './failure.js';
import { inTime } from './in-time.js';
import type { StoreClock } from './store-clock.js';

export type Send = (command: Command) => Promise<unknown>;

export interface LinkOptions {
  /** Rejects with a StoreFailure. */
  readonly connect: (onGone: (failure: StoreFailure) => void) => Promise<Connection>;
  /** For all but what has one of its own. */
  readonly breaker: Breaker;
  /** Set with each heartbeat. */
  readonly clock: StoreClock;
  /** Monotonic, in milliseconds. */
  readonly now: () => number;
  /** What comes first on a new connection. */
  readonly begin: (send: Send) => Promise<void>;
  /** Called four times a second while the store is there. */
  readonly onTick: () => void;
  readonly onFailure: (kind: CacheStoreError) => void;
  readonly onDown: (reason: string) => void;
  /** Called with each sign of life. */
  readonly onAlive: () => void;
  /** Of what is on its way there. */
  readonly maxBytes: number;
}

export interface Work<T> {
  readonly ms: number;
  /** That are sent, about. */
  readonly bytes?: number;
  /** That of the link, unless something else may fail without it. */
  readonly breaker?: Breaker;
  readonly onOpened?: (reason: string) => void;
  readonly onDone?: () => void;
  readonly run: (send: Send) => Promise<T>;
}

/** At the same time. */
const maxInFlight = 2048;
const tickMs = 250;
const ticksPerHeartbeat = 4;
const heartbeatTimeoutMs = 1000;

export class Link {
  readonly #options: LinkOptions;
  #connection: Connection | undefined;
  /** The first attempt, for which requests wait. */
  #first: Promise<void> | undefined;
  #isClosed = false;
  #inFlight = 0;
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #ticks: NodeJS.Timeout | undefined;
  #tick = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** Call once. */
  open(): void {
    this.#ticks = setInterval(() => this.#onTick(), tickMs).unref();
    this.#first = this.#connect().finally(() => {
      this.#first = undefined;
    });
  }

  get isUp(): boolean {
    return this.#connection !== undefined;
  }

  /** It is there, or may be in a moment. */
  get mayAnswer(): boolean {
    return this.isUp || this.#first !== undefined;
  }

  /** Whatever is on its way has half a second. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearInterval(this.#ticks);
    if (this.#inFlight === 0) this.#disconnect();
    else setTimeout(() => this.#disconnect(), 500).unref();
  }

  /** @returns undefined if the store has not done it in time */
  async do<T>({
    ms,
    bytes = 0,
    breaker = this.#options.breaker,
    onOpened,
    onDone,
    run,
  }: Work<T>): Promise<T | undefined> {
    if (this.#inFlight >= maxInFlight || this.#bytes + bytes > this.#options.maxBytes) {
      this.#options.onFailure('busy');
      return undefined;
    }
    this.#inFlight++;
    this.#bytes += bytes;
    // After the time is over it still takes its place, until the connection has been closed.
    const working = this.#run(run).finally(() => {
      this.#inFlight--;
      this.#bytes -= bytes;
      if (this.#isClosed && this.#inFlight === 0) this.#disconnect();
    });
    try {
      const done = await inTime(ms, working, this.#options.now);
      breaker.succeeded();
      onDone?.();
      return done;
    } catch (error) {
      this.#failed(error, breaker, onOpened);
      return undefined;
    }
  }

  async #run<T>(run: (send: Send) => Promise<T>): Promise<T> {
    if (!this.#connection && this.#first) await this.#first;
    const connection = this.#connection;
    if (!connection) throw new StoreFailure('connection', 'there is no connection');
    return await run((command) => connection.send(command));
  }

  #failed(error: unknown, breaker: Breaker, onOpened: ((reason: string) => void) | undefined): void {
    const kind = error instanceof StoreFailure ? error.kind : 'garbage';
    // Of a connection that was lost, it is counted once.
    if (kind === 'connection') return;
    this.#options.onFailure(kind);
    if (!this.isUp) return;
    if (!breaker.failed()) return;
    if (breaker === this.#options.breaker) this.#down(error, true);
    else onOpened?.(reasonOf(error));
  }

  async #connect(): Promise<void> {
    const { breaker, connect, begin, onAlive, onFailure } = this.#options;
    let connection: Connection | undefined;
    try {
      let gone: StoreFailure | undefined;
      const made = await connect((failure) => {
        gone = failure;
        if (this.#connection !== made) return;
        onFailure(failure.kind);
        this.#down(failure, breaker.open());
      });
      connection = made;
      const send: Send = (command) => made.send(command);
      await inTime(
        heartbeatTimeoutMs,
        this.#readClock(send).then(() => begin(send)),
        this.#options.now,
      );
      if (gone) throw gone;
      if (this.#isClosed) return made.close();
      this.#connection = made;
      breaker.succeeded();
      onAlive();
    } catch (error) {
      connection?.close();
      onFailure(error instanceof StoreFailure ? error.kind : 'garbage');
      this.#down(error, this.#options.breaker.open());
    }
  }

  /** @param hasOpened whether the breaker has, by this failure */
  #down(error: unknown, hasOpened: boolean): void {
    const { breaker, onDown } = this.#options;
    this.#disconnect();
    if (this.#isClosed) return;
    // Not each time that it has not come back.
    if (hasOpened) onDown(reasonOf(error));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      breaker.allows();
      void this.#connect();
    }, breaker.waitMs).unref();
  }

  #disconnect(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.close();
  }

  #onTick(): void {
    if (!this.isUp) return;
    this.#options.onTick();
    this.#tick = (this.#tick + 1) % ticksPerHeartbeat;
    if (this.#tick === 0) void this.#beat();
  }

  /** Also while no request comes: it may send what no command has asked for, or be another server by now. */
  async #beat(): Promise<void> {
    const connection = this.#connection;
    if (!connection) return;
    try {
      await inTime(
        heartbeatTimeoutMs,
        this.#readClock((command) => connection.send(command)),
        this.#options.now,
      );
      this.#options.onAlive();
    } catch (error) {
      if (this.#connection !== connection) return;
      this.#options.onFailure(error instanceof StoreFailure ? error.kind : 'garbage');
      this.#down(error, this.#options.breaker.open());
    }
  }

  async #readClock(send: Send): Promise<void> {
    const { clock, now } = this.#options;
    const sentAt = now();
    const reply = await send(['TIME']);
    const [seconds, micros] = Array.isArray(reply) ? reply.map(Number) : [];
    const shown = (seconds ?? Number.NaN) * 1000 + (micros ?? Number.NaN) / 1000;
    if (!Number.isFinite(shown)) throw garbage('TIME');
    clock.sample(sentAt, shown, now());
  }
}
