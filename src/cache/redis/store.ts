// The store that all event loops of several machines share, in a Redis server: a hash for each key, with a field for each
// variant (`variants`), which expires by itself, and the times of purges (`marks`). Times there are on the clock of that server.

import type { CacheStoreError } from '../../metrics/layout.js';
import { pack } from '../packed-response.js';
import type { PurgeLog } from '../purge-log.js';
import { type Purges, slotOf, slotsOf } from '../purges.js';
import type { CacheStore } from '../store.js';
import type { StoredResponse } from '../stored-response.js';
import { Breaker } from './breaker.js';
import type { Connection } from './client.js';
import { garbage, ignoreRefusal, type StoreFailure } from './failure.js';
import { Link, type Send } from './link.js';
import { allSlot, Marks, maxLifeMs } from './marks.js';
import { Reader, textsOf } from './reader.js';
import { StoreClock } from './store-clock.js';
import { digest, fieldOf, tagsField } from './variants.js';

export interface RedisStoreOptions {
  readonly connect: (onGone: (failure: StoreFailure) => void) => Promise<Connection>;
  readonly prefix: string;
  /** For an answer to a request. */
  readonly timeoutMs: number;
  /** Of what is on its way there. */
  readonly maxBytes: number;
  /** Of this machine: they count here before the store knows of them. */
  readonly purges: Purges;
  readonly purgeLog: PurgeLog;
  /** Monotonic, in milliseconds, the same for all processes. */
  readonly now: () => number;
  readonly onFailure: (kind: CacheStoreError) => void;
  /** A response. */
  readonly onStored: () => void;
  readonly outages: { readonly all: Reporter; readonly writes: Reporter };
}

interface Reporter {
  began(reason: string): void;
  ended(): void;
}

/** Of the layout of the keys and of packed responses. */
const version = 1;

/** One key has about as many: with more, the values of the selecting headers come from its clients. */
const maxVariants = 64;
/** A response that can be validated is kept for longer than it is fresh. */
const validatedMs = 3_600_000;

/** Only requests for the same wait for a response to be stored. */
const writeFactor = 5;

const nothing: readonly StoredResponse[] = [];

export class RedisStore implements CacheStore {
  readonly #options: RedisStoreOptions;
  readonly #clock = new StoreClock();
  readonly #marks: Marks;
  readonly #reader: Reader;
  readonly #link: Link;
  /** A server that is full may answer all the same. */
  readonly #writes: Breaker;
  /** Never asked: what it is for is tried each time. */
  readonly #attending: Breaker;
  readonly #root: string;

  constructor(options: RedisStoreOptions) {
    const { connect, now, maxBytes, onFailure, outages } = options;
    this.#options = options;
    this.#root = `mpserve:${version}:${options.prefix}`;
    this.#marks = new Marks(`${this.#root}:purges`, this.#clock, now);
    this.#reader = new Reader(this.#marks, this.#clock, options.purges, now);
    this.#writes = new Breaker({ now });
    this.#attending = new Breaker({ now });
    this.#link = new Link({
      connect,
      breaker: new Breaker({ now }),
      clock: this.#clock,
      now,
      begin: async (send) => {
        await this.#marks.begin(send);
        this.#takePurges();
        await this.#marks.flush(send).catch(ignoreRefusal);
      },
      onTick: () => this.#propagate(),
      onFailure,
      onDown: (reason) => outages.all.began(reason),
      onAlive: () => outages.all.ended(),
      maxBytes,
    });
  }

  open(): void {
    this.#link.open();
  }

  close(): void {
    this.#link.close();
  }

  get(
    key: string,
    url: string,
    rawHeaders: readonly string[],
  ): readonly StoredResponse[] | Promise<readonly StoredResponse[]> {
    if (!this.#link.mayAnswer) return nothing;
    return this.#get(key, url, rawHeaders);
  }

  async #get(key: string, url: string, rawHeaders: readonly string[]): Promise<readonly StoredResponse[]> {
    const ms = this.#options.timeoutMs;
    return (
      (await this.#link.do({
        ms,
        run: (send) => this.#reader.read(send, this.#keyOf(key), { key, url, rawHeaders }),
      })) ?? nothing
    );
  }

  async put(key: string, url: string, response: StoredResponse): Promise<void> {
    const { timeoutMs: ms, purges, outages, onStored } = this.#options;
    const field = fieldOf(response.selecting);
    const lifeMs = lifeOf(response);
    if (field === undefined || lifeMs <= 0) return;
    const slots = slotsOf(url, response.tags);
    // Purged since it was asked for.
    if (!purges.isValid(slots, response.requestedAt)) return;
    if (!this.#link.mayAnswer || !this.#writes.allows()) return;
    await this.#link.do({
      ms: ms * writeFactor,
      bytes: response.bytes,
      breaker: this.#writes,
      onOpened: (reason) => outages.writes.began(reason),
      onDone: () => {
        outages.writes.ended();
        onStored();
      },
      run: (send) => this.#store(send, key, field, slots, response, lifeMs),
    });
  }

  drop(key: string, response: StoredResponse): void {
    const field = fieldOf(response.selecting);
    if (field !== undefined && this.#link.isUp) this.#attend((send) => send(['HDEL', this.#keyOf(key), field]));
  }

  delete(url: string): void {
    this.#purge(slotOf({ url }));
    this.#options.purges.add({ url }, this.#options.now());
  }

  purge(tag: string): void {
    this.#purge(slotOf({ tag }));
    this.#options.purges.add({ tag }, this.#options.now());
  }

  #purge(slot: number): void {
    this.#marks.add(slot, this.#options.now());
    this.#propagate();
  }

  /** Tells the store of what has been purged here. */
  #propagate(): void {
    this.#takePurges();
    if (!this.#marks.hasPending || !this.#link.isUp) return;
    this.#attend((send) => this.#marks.flush(send));
  }

  /** What needs no memory there, and no request waits for: it says nothing of whether the store takes responses. */
  #attend(run: (send: Send) => Promise<unknown>): void {
    const ms = this.#options.timeoutMs * writeFactor;
    void this.#link.do({ ms, breaker: this.#attending, run });
  }

  #takePurges(): void {
    const { purgeLog, purges, now } = this.#options;
    const slots = purgeLog.take();
    if (slots === undefined) this.#marks.add(allSlot, now());
    for (const slot of slots ?? []) this.#marks.add(slot, purges.timeOf(slot));
  }

  async #store(
    send: Send,
    key: string,
    field: string,
    slots: readonly number[],
    response: StoredResponse,
    lifeMs: number,
  ): Promise<void> {
    const redisKey = this.#keyOf(key);
    const ms = String(Math.ceil(lifeMs));
    const packed = pack(key, response, this.#clock.lowShift);
    const [, , , , , done, count] = await Promise.all([
      send(['MULTI']),
      send(['HSET', redisKey, field, packed, tagsField, slots.slice(1).join()]),
      // Together the longer one of both, for the other variants.
      send(['PEXPIRE', redisKey, ms, 'NX']),
      send(['PEXPIRE', redisKey, ms, 'GT']),
      send(this.#marks.keeping),
      send(['EXEC']),
      send(['HLEN', redisKey]),
    ]);
    if (!Array.isArray(done) || done.some((one) => one instanceof Error)) throw garbage('EXEC');
    if (Number(count) > maxVariants + 1) await this.#removeSome(send, redisKey, Number(count) - maxVariants - 1);
  }

  async #removeSome(send: Send, redisKey: string, count: number): Promise<void> {
    const fields = textsOf(await send(['HRANDFIELD', redisKey, String(Math.min(count, maxVariants))]));
    if (fields.length > 0) await send(['HDEL', redisKey, ...fields]);
  }

  #keyOf(key: string): string {
    return `${this.#root}:${digest(key)}`;
  }
}

/** @returns milliseconds for which it is of use */
function lifeOf(response: StoredResponse): number {
  const { lifetime, initialAge, staleWhileRevalidate, staleIfError } = response.freshness;
  const seconds = lifetime + Math.max(staleWhileRevalidate, staleIfError) - initialAge;
  return Math.min(maxLifeMs, Math.max(0, seconds * 1000) + (response.hasValidator ? validatedMs : 0));
}
