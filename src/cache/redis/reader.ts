// Reads what the store has for a request: the variants that it may get, and whether they have been purged.
import { unpack } from '../packed-response.js';
import { type Purges, slotOf, slotsOf } from '../purges.js';
import type { StoredResponse } from '../stored-response.js';
import { garbage, isGarbage } from './failure.js';
import type { Send } from './link.js';
import { allSlot, type Marks } from './marks.js';
import type { StoreClock } from './store-clock.js';
import { fieldOf, fieldsFor, plainField, tagsField } from './variants.js';

/** What a request asks for. */
export interface Wanted {
  readonly key: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
}

/** More than any key of ours has. */
const maxFields = 256;

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

export class Reader {
  readonly #marks: Marks;
  readonly #clock: StoreClock;
  readonly #purges: Purges;
  readonly #now: () => number;

  /** @param purges of this machine. @param now monotonic, in milliseconds */
  constructor(marks: Marks, clock: StoreClock, purges: Purges, now: () => number) {
    this.#marks = marks;
    this.#clock = clock;
    this.#purges = purges;
    this.#now = now;
  }

  /** @returns the newest first */
  async read(send: Send, redisKey: string, wanted: Wanted): Promise<readonly StoredResponse[]> {
    try {
      return await this.#find(send, redisKey, wanted);
    } catch (error) {
      // What cannot be read is in the way of what could be stored.
      if (isGarbage(error)) send(['UNLINK', redisKey]).catch(() => {});
      throw error;
    }
  }

  /** One question for a response without Vary and tags, else mostly two. */
  async #find(send: Send, redisKey: string, { key, url, rawHeaders }: Wanted): Promise<readonly StoredResponse[]> {
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
    const response = unpacked(key, bytes, this.#clock.highShift);
    if (!response || fieldOf(response.selecting) !== field) throw garbage('a damaged response');
    const requestedAt = response.requestedAt + this.#clock.highShift;
    return { field, response, requestedAt, slots: slotsOf(url, response.tags) };
  }

  #isValid({ response, requestedAt, slots }: Found, times: ReadonlyMap<number, number | undefined>): boolean {
    if (response.requestedAt > this.#now() + maxAhead || response.storedAt > this.#now() + maxAhead) return false;
    const isPurged = [allSlot, ...slots].some((slot) => (times.get(slot) ?? 0) >= requestedAt);
    return !isPurged && this.#purges.isValid(slots, response.requestedAt);
  }
}

function valuesOf(reply: unknown, length: number): readonly (Buffer | null)[] {
  if (!Array.isArray(reply) || reply.length !== length) throw garbage('HMGET');
  if (!reply.every((one) => one === null || Buffer.isBuffer(one))) throw garbage('HMGET');
  return reply;
}

export function textsOf(reply: unknown): readonly string[] {
  if (!Array.isArray(reply) || reply.length > maxFields || !reply.every((one) => Buffer.isBuffer(one)))
    throw garbage('the fields of a key');
  return reply.map(String);
}

/** As they were stored. */
function slotsIn(tags: Buffer | null | undefined): readonly number[] {
  const slots = tags ? String(tags).split(',').map(Number) : [];
  return slots.length <= 256 ? slots.filter((slot) => Number.isInteger(slot) && slot > 0) : [];
}

/** Node would throw at others. */
const messages = /^[\t\x20-\x7e\x80-\xff]*$/;

/** @returns undefined for what no server of ours has written */
function unpacked(key: string, bytes: Buffer, shift: number): StoredResponse | undefined {
  try {
    const response = unpack(key, bytes, shift);
    if (!response || !messages.test(response.message)) return undefined;
    return response.status >= 200 && response.status <= 599 ? response : undefined;
  } catch {
    return undefined;
  }
}
