// When something was purged, for all machines: a sorted set in Redis with a time, on the clock of the Redis server, for each slot
// of `purges` that was purged within the last day. A mark that cannot be written now is kept until it can.
//
// The set always has the slot of all responses. If Redis has lost the set (eviction, FLUSHALL, a restart), a new one begins
// with the time that it is then, so that what was stored before counts no more.
import { slotOf } from '../purges.js';
import type { Command } from './client.js';
import { garbage, ignoreRefusal, isFull, isGarbage } from './failure.js';
import type { Send } from './link.js';
import type { StoreClock } from './store-clock.js';

/** No response lives longer (milliseconds). */
export const maxLifeMs = 86_400_000;
const keptMs = 2 * maxLifeMs;

export const allSlot = slotOf('all');

/** With more to write, everything is purged. */
const maxPending = 10_000;
const maxAtOnce = 500;

export class Marks {
  readonly #key: string;
  readonly #clock: StoreClock;
  readonly #now: () => number;
  /** Slots, and the times of their purges on the monotonic clock. */
  #pending = new Map<number, number>();
  #isWriting = false;

  constructor(key: string, clock: StoreClock, now: () => number) {
    this.#key = key;
    this.#clock = clock;
    this.#now = now;
  }

  get hasPending(): boolean {
    return this.#pending.size > 0;
  }

  /** To write with `flush`. @param time on the monotonic clock */
  add(slot: number, time: number): void {
    this.#pending.set(slot, Math.max(time, this.#pending.get(slot) ?? 0));
    if (this.#pending.size > maxPending) this.#pending = new Map([[allSlot, time]]);
  }

  /** Has the set begin if there is none, or it has been lost. */
  async begin(send: Send): Promise<void> {
    if ((await this.#readAll(send)) !== null) return;
    const time = this.#now() + this.#clock.highShift;
    const writing = [send(['ZADD', this.#key, 'NX', String(time), String(allSlot)]), this.keep(send)];
    // A server that takes no more may still have responses.
    await Promise.all(writing).catch(ignoreRefusal);
  }

  async #readAll(send: Send): Promise<unknown> {
    try {
      return await send(['ZSCORE', this.#key, String(allSlot)]);
    } catch (error) {
      if (!isGarbage(error)) throw error;
      // The key is ours, but is no set.
      await send(['UNLINK', this.#key]);
      return null;
    }
  }

  /** Writes those that are pending, unless it does already. */
  async flush(send: Send): Promise<void> {
    if (this.#isWriting || this.#pending.size === 0) return;
    this.#isWriting = true;
    try {
      while (this.#pending.size > 0) await this.#write(send, [...this.#pending].slice(0, maxAtOnce));
    } finally {
      this.#isWriting = false;
    }
  }

  async #write(send: Send, some: readonly (readonly [slot: number, time: number])[]): Promise<void> {
    const { highShift } = this.#clock;
    const marks = some.flatMap(([slot, time]) => [String(time + highShift), String(slot)]);
    const oldest = this.#now() + highShift - maxLifeMs;
    try {
      await Promise.all([
        send(['ZADD', this.#key, 'GT', ...marks, String(oldest), String(allSlot)]),
        send(['ZREMRANGEBYSCORE', this.#key, '-inf', `(${oldest}`]),
        this.keep(send),
      ]);
    } catch (error) {
      if (!isFull(error)) throw error;
      // Without the set nothing counts that is stored, and this needs no memory.
      await send(['UNLINK', this.#key]);
    }
    for (const [slot, time] of some) if (this.#pending.get(slot) === time) this.#pending.delete(slot);
  }

  /** The set lives longer than any response. */
  keep(send: Send): Promise<unknown> {
    return send(this.keeping);
  }

  get keeping(): Command {
    return ['PEXPIRE', this.#key, String(keptMs)];
  }

  /** @returns for each slot when it was purged, on the clock of the server; 0 for never, undefined if it is unknown */
  async read(send: Send, slots: readonly number[]): Promise<readonly (number | undefined)[]> {
    const reply = await send(['ZMSCORE', this.#key, ...slots.map(String)]);
    if (!Array.isArray(reply) || reply.length !== slots.length) throw garbage('ZMSCORE');
    return reply.map((score: unknown, i) => {
      if (score === null) return slots[i] === allSlot ? undefined : 0;
      const time = Number(score);
      if (Number.isNaN(time)) throw garbage('ZMSCORE');
      return time;
    });
  }
}
