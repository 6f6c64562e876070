// Limits the rate of requests of each client, for all event loops of the server together. Time is counted in units of which
// a token takes a whole number, so that no rate is rounded: from 1 µs, for a million tokens a second, to 1 ms. Those of
// `BucketTable` wrap around after 12 days at least: a client that has been idle for exactly as long may find its bucket used.
import { now } from '../clock.js';
import { formatRateLimit, type RateLimit, unitSeconds } from '../config/rate-limit.js';
import { partOf } from '../memory/parts.js';
import { BucketTable } from './bucket-table.js';
import { SipHash } from './sip-hash.js';

export interface Verdict {
  readonly isAllowed: boolean;
  /** Tokens that are left. */
  readonly left: number;
  /** Time until the next token (milliseconds). */
  readonly nextMs: number;
}

/** Where a token takes less than as many milliseconds, and more than as many microseconds. */
const unitsPerToken = 1024;
/** Between the look at the clock and the count another process may have the processor, but not for as long (milliseconds). */
const maxLagMs = 10_000;

export class RateLimiter {
  readonly #table: BucketTable;
  readonly #hash: SipHash;
  readonly #clock: () => number;
  /** Units of time that a token takes. */
  readonly #cost: number;
  readonly #unitsPerMs: number;
  readonly #capacity: number;

  /**
   * @param memory of `mapServerMemory`
   * @param clock milliseconds, the same for all processes
   */
  constructor(limit: RateLimit, memory: SharedArrayBuffer, clock = now) {
    const msPerToken = (unitSeconds[limit.unit] * 1000) / limit.count;
    this.#clock = clock;
    const cost = Math.max(Math.ceil(msPerToken), Math.min(unitsPerToken, Math.ceil(msPerToken * 1000)));
    this.#hash = new SipHash(keyFor(limit, memory));
    this.#cost = cost;
    this.#unitsPerMs = cost / msPerToken;
    this.#capacity = limit.burst * cost;
    const maxLag = Math.ceil(maxLagMs * this.#unitsPerMs);
    this.#table = new BucketTable(partOf(memory, 'buckets'), { cost, capacity: this.#capacity, maxLag });
  }

  /** Counts a request of `client`, if it is within the limit. */
  take(client: string): Verdict {
    const [cost, capacity] = [this.#cost, this.#capacity];
    this.#hash.hash(client);
    let used = this.#attempt();
    // If another event loop has counted a request whose time is later, a token may have come back by then.
    if (used > capacity) used = this.#attempt();
    const isAllowed = used <= capacity;
    const unitsToNext = isAllowed ? used % cost || cost : used - capacity;
    return {
      isAllowed,
      left: isAllowed ? Math.floor((capacity - used) / cost) : 0,
      nextMs: unitsToNext / this.#unitsPerMs,
    };
  }

  /** For the client of the last hash. */
  #attempt(): number {
    return this.#table.take(this.#hash.high, this.#hash.low, Math.floor(this.#clock() * this.#unitsPerMs));
  }
}

/** A key of its own for each limit: after a reload with another one, the buckets of the old one are not found. */
function keyFor(limit: RateLimit, memory: SharedArrayBuffer): Int32Array {
  const { start, bytes } = partOf(memory, 'hashKey');
  const key = new Int32Array(memory, start, bytes / 4).slice();
  const hash = new SipHash(key);
  hash.hash(formatRateLimit(limit));
  return key.map((part, i) => part ^ (i % 2 ? hash.high : hash.low));
}
