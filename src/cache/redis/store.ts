// The store that all event loops of several machines share, in a Redis server: a hash for each key, with a field for each
// variant (`variants`), which expires by itself, and the times of purges (`marks`). Times there are on the clock of that server.

import type { CacheStoreError } from '../../metrics/layout.js';
import { pack, unpack } from '../packed-response.js';
import type { PurgeLog } from '../purge-log.js';
import { type Purges, slotOf } from '../purges.js';
import type { CacheStore } from '../store.js';
import type { StoredResponse } from '../stored-response.js';
import { Breaker } from './breaker.js';
import type { Connection } from './client.js';
import { garbage, ignoreRefusal, isGarbage, type StoreFailure } from './failure.js';
import { Link, type Send } from './link.js';
import { allSlot, Marks, maxLifeMs } from './marks.js';
import { StoreClock } from './store-clock.js';
import { digest, fieldOf, fieldsFor, plainField, tagsField } from './variants.js';

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
/** Nothing that was written by us has more fields. */
const maxFields = 4 * maxVariants;

/** A response that can be validated is kept for longer than it is fresh. */
const validatedMs = 3_600_000;

/** Nobody waits for a response to be stored, except requests for the same. */
const writeFactor = 5;

/** The clock of the server may have been set back by as much (milliseconds). */
const maxAhead = 2000;

const nothing: readonly StoredResponse[] = [];

/** A response as it was found, and where. */
interface Found {
  readonly field: string;
  readonly response: StoredResponse;
  /** When it was asked for, on the clock of the server. */
  readonly requestedAt: number;
  readonly slots: readonly number[];
}

export class RedisStore implements CacheStore {
  readonly #options: RedisStoreOptions;
  readonly #clock = new StoreClock();
  readonly #marks: Marks;
  readonly #link: Link;
  /** A server that is full may answer all the same. */
  readonly #writes: Breaker;
  readonly #root: string;

  constructor(options: RedisStoreOptions) {
    const { connect, now, maxBytes, onFailure, outages } = options;
    this.#options = options;
    this.#root = `mpserve:${version}:${options.prefix}`;
    this.#marks = new Marks(`${this.#root}:purges`, this.#clock, now);
    this.#writes = new Breaker({ now });
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
      onUp: () => outages.all.ended(),
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
    return (await this.#link.do({ ms, run: (send) => this.#read(send, key, url, rawHeaders) })) ?? nothing;
  }

  async put(key: string, url: string, response: StoredResponse): Promise<void> {
    const { timeoutMs: ms, purges } = this.#options;
    const field = fieldOf(response.selecting);
    const lifeMs = lifeOf(response);
    if (field === undefined || lifeMs <= 0) return;
    const slots = slotsOf(url, response);
    // Purged since it was asked for.
    if (!purges.isValid(slots, response.requestedAt)) return;
    if (!this.#link.mayAnswer || !this.#writes.allows()) return;
    await this.#write(response.bytes, ms, (send) => this.#store(send, key, field, slots, response, lifeMs));
  }

  async drop(key: string, response: StoredResponse): Promise<void> {
    const field = fieldOf(response.selecting);
    if (field === undefined || !this.#link.isUp) return;
    await this.#write(0, this.#options.timeoutMs, (send) => send(['HDEL', this.#keyOf(key), field]));
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
    // Whatever becomes of the breaker: other machines must hear of a purge as soon as the store takes it.
    void this.#write(0, this.#options.timeoutMs, (send) => this.#marks.flush(send));
  }

  #takePurges(): void {
    const { purgeLog, purges, now } = this.#options;
    const slots = purgeLog.take();
    if (slots === undefined) this.#marks.add(allSlot, now());
    for (const slot of slots ?? []) this.#marks.add(slot, purges.timeOf(slot));
  }

  async #write(bytes: number, timeoutMs: number, run: (send: Send) => Promise<unknown>): Promise<void> {
    const { outages } = this.#options;
    await this.#link.do({
      ms: timeoutMs * writeFactor,
      bytes,
      breaker: this.#writes,
      onOpened: (reason) => outages.writes.began(reason),
      onClosed: () => outages.writes.ended(),
      run,
    });
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

  async #read(send: Send, key: string, url: string, rawHeaders: readonly string[]): Promise<readonly StoredResponse[]> {
    const redisKey = this.#keyOf(key);
    try {
      return await this.#find(send, redisKey, key, url, rawHeaders);
    } catch (error) {
      // What nobody can read is in the way of what could be stored.
      if (isGarbage(error)) send(['UNLINK', redisKey]).catch(() => {});
      throw error;
    }
  }

  /** One question for a response without Vary and tags, else mostly two. */
  async #find(
    send: Send,
    redisKey: string,
    key: string,
    url: string,
    rawHeaders: readonly string[],
  ): Promise<readonly StoredResponse[]> {
    const urlSlot = slotOf({ url });
    const known = new Map<number, number | undefined>();
    const learn = async (slots: readonly number[]) => {
      const missing = slots.filter((slot) => !known.has(slot));
      if (missing.length === 0) return;
      const times = await this.#marks.read(send, missing);
      for (const [i, slot] of missing.entries()) known.set(slot, times[i]);
    };
    const [firstReply, fieldsReply] = await Promise.all([
      send(['HMGET', redisKey, plainField, tagsField]),
      send(['HKEYS', redisKey]),
      learn([allSlot, urlSlot]),
    ]);
    if (known.get(allSlot) === undefined) {
      await this.#marks.begin(send);
      return nothing;
    }
    const fields = textsOf(fieldsReply);
    if (fields.length === 0) return nothing;
    const [plain, tags] = valuesOf(firstReply, 2);
    const wanted = fieldsFor(fields, rawHeaders);
    const [more] = await Promise.all([
      wanted.length > 0 ? send(['HMGET', redisKey, ...wanted]) : [],
      learn(slotsIn(tags)),
    ]);
    const packed = [
      [plainField, plain] as const,
      ...valuesOf(more, wanted.length).map((one, i) => [wanted[i] as string, one] as const),
    ];
    const found = packed.flatMap(([field, bytes]) => (bytes ? [this.#unpack(key, url, field, bytes)] : []));
    await learn(found.flatMap(({ slots }) => slots));
    const [valid, purged] = [[] as Found[], [] as string[]];
    for (const one of found) {
      if (this.#isValid(one, known)) valid.push(one);
      else purged.push(one.field);
    }
    if (purged.length > 0) send(['HDEL', redisKey, ...purged]).catch(() => {});
    return valid.sort((a, b) => b.requestedAt - a.requestedAt).map(({ response }) => response);
  }

  #unpack(key: string, url: string, field: string, bytes: Buffer): Found {
    const response = unpack(key, bytes, this.#clock.highShift);
    if (!response || fieldOf(response.selecting) !== field) throw garbage('a damaged response');
    const requestedAt = response.requestedAt + this.#clock.highShift;
    return { field, response, requestedAt, slots: slotsOf(url, response) };
  }

  #isValid({ response, requestedAt, slots }: Found, times: ReadonlyMap<number, number | undefined>): boolean {
    const { purges, now } = this.#options;
    if (response.requestedAt > now() + maxAhead || response.storedAt > now() + maxAhead) return false;
    const isPurged = [allSlot, ...slots].some((slot) => (times.get(slot) ?? 0) >= requestedAt);
    return !isPurged && purges.isValid(slots, response.requestedAt);
  }

  #keyOf(key: string): string {
    return `${this.#root}:${digest(key)}`;
  }
}

/** That of the target first. */
function slotsOf(url: string, { tags }: StoredResponse): readonly number[] {
  return [slotOf({ url }), ...tags.map((tag) => slotOf({ tag }))];
}

/** @returns milliseconds for which it is of use */
function lifeOf(response: StoredResponse): number {
  const { lifetime, initialAge, staleWhileRevalidate, staleIfError } = response.freshness;
  const seconds = lifetime + Math.max(staleWhileRevalidate, staleIfError) - initialAge;
  return Math.min(maxLifeMs, Math.max(0, seconds * 1000) + (response.hasValidator ? validatedMs : 0));
}

function valuesOf(reply: unknown, length: number): readonly (Buffer | null)[] {
  if (!Array.isArray(reply) || reply.length !== length) throw garbage('HMGET');
  if (!reply.every((one) => one === null || Buffer.isBuffer(one))) throw garbage('HMGET');
  return reply;
}

function textsOf(reply: unknown): readonly string[] {
  if (!Array.isArray(reply) || reply.length > maxFields || !reply.every((one) => Buffer.isBuffer(one)))
    throw garbage('the fields of a key');
  return reply.map(String);
}

/** As they were stored. */
function slotsIn(tags: Buffer | null | undefined): readonly number[] {
  const slots = tags ? String(tags).split(',').map(Number) : [];
  return slots.length <= 256 ? slots.filter((slot) => Number.isInteger(slot) && slot > 0) : [];
}
