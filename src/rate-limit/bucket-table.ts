// A table of token buckets in memory that the event loops of several processes share. Each bucket is one 64-bit word that
// changes by compare-and-exchange: there is no lock that a worker could hold when it is killed, and no request is counted
// twice or not at all. The table has a fixed size.
//
// A bucket is kept as GCRA does it (the generic cell rate algorithm): by the time at which it will be full again. So it
// fills without being touched, and a word whose time has passed is as good as an empty one.
import type { Part } from '../memory/parts.js';

/** Words of a set, in one of which a bucket must be: two cache lines. With 8, 30,000 clients would fill a set at times. */
const ways = 16;
/** Of a word: the rest, above it, is the tag, which tells the clients of a set apart. */
const timeBits = 40;
const highTimeBits = timeBits - 32;
/** Times wrap around here. */
const timeRange = 2 ** timeBits;
const lowRange = 2 ** 32;

/** A word in two halves. Each thread has its own. */
const word = new BigInt64Array(1);
const halves = new Int32Array(word.buffer);

/** In units of time, which are the same for all that use the table. */
export interface BucketRules {
  /** What a request takes from a bucket: as many units pass until it has come back. */
  readonly cost: number;
  /** A multiple of `cost`. With `maxLag` it is at most a quarter of 2^40. */
  readonly capacity: number;
  /** How much earlier the time of a request may be than that of one which another event loop has counted before. */
  readonly maxLag: number;
}

export class BucketTable {
  readonly #rules: BucketRules;
  readonly #words: BigInt64Array;
  /** The same memory in halves of words, the low one first, as on all platforms that koffi is built for. */
  readonly #halves: Int32Array;
  readonly #lastSet: number;

  /** @param part whose bytes are a power of 2 */
  constructor({ memory, start, bytes }: Part, rules: BucketRules) {
    this.#rules = rules;
    this.#words = new BigInt64Array(memory, start, bytes / 8);
    this.#halves = new Int32Array(memory, start, bytes / 4);
    this.#lastSet = bytes / 8 / ways - 1;
  }

  /**
   * Takes the cost of a request from a bucket, if it has as much.
   * @param hashHigh a half of the hash of the client's name, as `hashLow`
   * @param time a number of units since any time that is the same for all processes
   * @returns how much of the bucket is used with this request (units); if it is more than its capacity, nothing was taken
   */
  take(hashHigh: number, hashLow: number, time: number): number {
    const { cost, capacity } = this.#rules;
    const tag = hashHigh >>> highTimeBits || 1; // an empty word has the tag 0
    const first = (hashLow & this.#lastSet) * ways;
    const start = time % timeRange;
    for (;;) {
      const index = this.#find(first, tag, start);
      const before = word[0] as bigint;
      const [low, high] = [halves[0] as number, halves[1] as number];
      const isOwn = high >>> highTimeBits === tag;
      const used = (isOwn ? Math.max(0, this.#distance(timeOf(high, low), start)) : 0) + cost;
      if (used > capacity) return used;
      write(tag, (start + used) % timeRange);
      if (Atomics.compareExchange(this.#words, index, before, word[0] as bigint) === before) return used;
    }
  }

  /**
   * Finds the client's word, or else the one that it gets: of the buckets in the set, the fullest. Copies it to `word`.
   *
   * Two event loops that look for the same new client choose the same word, so that one of them fails to exchange it and
   * looks again: a word changes only to a later time, except the one that is replaced. So each word is read as a whole: if
   * its halves were of two buckets, it could seem to be the fullest, or not to be.
   */
  #find(first: number, tag: number, start: number): number {
    // Most clients have a word, which is found faster by its half.
    let index = first;
    while (index < first + ways && Atomics.load(this.#halves, 2 * index + 1) >>> highTimeBits !== tag) index++;
    if (index < first + ways && this.#copy(index) === tag) return index;

    let least = Number.POSITIVE_INFINITY;
    let found = first;
    let foundWord = 0n;
    for (index = first; index < first + ways; index++) {
      const tagHere = this.#copy(index);
      if (tagHere === tag) return index;
      const time = timeOf(halves[1] as number, halves[0] as number);
      // Words are used in turn and never emptied, so the client has none after an empty one.
      const left = tagHere === 0 ? Number.NEGATIVE_INFINITY : this.#distance(time, start);
      if (left < least) {
        least = left;
        found = index;
        foundWord = word[0] as bigint;
      }
      if (tagHere === 0) break;
    }
    word[0] = foundWord; // if it has changed since, the exchange fails
    return found;
  }

  /** Copies a word of the table to `word`. @returns its tag */
  #copy(index: number): number {
    word[0] = Atomics.load(this.#words, index);
    return (halves[1] as number) >>> highTimeBits;
  }

  /** Units from `start` to `time`, when a bucket is full; negative if it has passed. */
  #distance(time: number, start: number): number {
    const { capacity, maxLag } = this.#rules;
    const ahead = time >= start ? time - start : time - start + timeRange;
    return ahead <= capacity + maxLag ? ahead : ahead - timeRange;
  }
}

function timeOf(high: number, low: number): number {
  return (high & (2 ** highTimeBits - 1)) * lowRange + (low >>> 0);
}

function write(tag: number, time: number): void {
  halves[0] = (time % lowRange) | 0;
  halves[1] = (tag << highTimeBits) | Math.floor(time / lowRange);
}
