// The flights of all event loops of a machine, in shared memory: for which keys an app is being asked, which event loop asks, and
// how it ended. An event loop renews a lease on its flights; if it is killed or blocked, another one takes them over. Others look at
// the table again and again, as processes cannot wake each other through shared memory.
import type { Landing } from './flight.js';
import type { KeyHasher } from './key-hash.js';
import { entriesPerBucket, layOut } from './shared-layout.js';
import type { FlightPlace, Flights } from './store.js';

/** A flight that was last renewed before this time is free (milliseconds). */
const leaseMs = 1000;
const renewMs = 200;
/** How often those that wait look (milliseconds). */
const lookMs = 3;
/** How it ended stays for those that wait, unless there is no other place (milliseconds). */
const landedMs = 200;
const maxTries = 8;

const landings: readonly Landing[] = ['stored', 'unshared', 'failed', 'gone'];
/** The low bits of an entry: 0 in flight, else 1 + its landing. Above it a time, then 32 bits of the hash. */
const stateBits = 3;
/** Of a time. */
const period = 2 ** (32 - stateBits);

/** An entry of the table, decoded. */
interface Found {
  readonly identity: number;
  readonly landing: Landing | undefined;
  /** Until its lease ends; 0 if that has ended, or it has landed. */
  readonly leftMs: number;
  /** Since it has landed. */
  readonly landedForMs: number;
}

interface Own {
  readonly identity: number;
  raw: bigint;
}

export interface SharedFlightsOptions {
  readonly memory: SharedArrayBuffer;
  readonly hasher: KeyHasher;
  /** Monotonic, in milliseconds, the same for all processes. */
  readonly now: () => number;
}

export class SharedFlights implements Flights {
  readonly #entries: BigInt64Array;
  /** The same as halves: the time and the state, and the hash. */
  readonly #words: Int32Array;
  readonly #buckets: number;
  readonly #hasher: KeyHasher;
  readonly #now: () => number;
  /** By their place in the table. */
  readonly #own = new Map<number, Own>();
  readonly #watched = new Map<
    FlightPlace,
    { readonly at: number; readonly identity: number; landed(how: Landing): void }
  >();
  #renewing: NodeJS.Timeout | undefined;
  #looking: NodeJS.Timeout | undefined;

  constructor({ memory, hasher, now }: SharedFlightsOptions) {
    const { flightsAt, flightBuckets } = layOut(memory.byteLength);
    this.#entries = new BigInt64Array(memory, flightsAt, flightBuckets * entriesPerBucket);
    this.#words = new Int32Array(memory, flightsAt, flightBuckets * entriesPerBucket * 2);
    this.#buckets = flightBuckets;
    this.#hasher = hasher;
    this.#now = now;
  }

  take(key: string, onLanded: (landing: Landing) => void): FlightPlace | undefined {
    const { identity, first } = this.#placeOf(key);
    for (let tries = 0; tries < maxTries; tries++) {
      const other = this.#flying(first, identity, -1);
      if (other >= 0) return this.#watch(other, identity, onLanded);
      const place = this.#free(first, identity);
      if (!place) return undefined;
      const raw = this.#entry(identity, 0, leaseMs);
      if (Atomics.compareExchange(this.#entries, place.at, place.raw, raw) !== place.raw) continue;
      // Another event loop may have taken another place at the same time. If both see that, both begin again.
      if (this.#flying(first, identity, place.at) < 0) return this.#depart(place.at, { identity, raw });
      Atomics.compareExchange(this.#entries, place.at, raw, 0n);
    }
    return undefined;
  }

  isTaken(key: string): boolean {
    const { identity, first } = this.#placeOf(key);
    const at = this.#flying(first, identity, -1);
    return at >= 0 && !this.#own.has(at);
  }

  #depart(at: number, own: Own): FlightPlace {
    this.#own.set(at, own);
    this.#renewing ??= setInterval(() => this.#renew(), renewMs).unref();
    const end = (landing: Landing): void => {
      if (this.#own.get(at) !== own) return;
      this.#own.delete(at);
      if (this.#own.size === 0) {
        clearInterval(this.#renewing);
        this.#renewing = undefined;
      }
      const landed = this.#entry(own.identity, 1 + landings.indexOf(landing), 0);
      Atomics.compareExchange(this.#entries, at, own.raw, landed);
    };
    return { isOwn: true, end };
  }

  /** One that another event loop has taken over stays that of this one, too: its response is as good. */
  #renew(): void {
    for (const [at, own] of this.#own) {
      const raw = this.#entry(own.identity, 0, leaseMs);
      if (Atomics.compareExchange(this.#entries, at, own.raw, raw) === own.raw) own.raw = raw;
    }
  }

  #watch(at: number, identity: number, landed: (landing: Landing) => void): FlightPlace {
    const place: FlightPlace = { isOwn: false, end: () => this.#unwatch(place) };
    this.#watched.set(place, { at, identity, landed });
    this.#looking ??= setInterval(() => this.#look(), lookMs).unref();
    return place;
  }

  #unwatch(place: FlightPlace): void {
    if (!this.#watched.delete(place) || this.#watched.size > 0) return;
    clearInterval(this.#looking);
    this.#looking = undefined;
  }

  #look(): void {
    for (const [place, { at, identity, landed }] of [...this.#watched]) {
      const found = this.#at(at);
      if (found.identity === identity && found.leftMs > 0) continue;
      this.#unwatch(place);
      // Without a landing its owner is gone, or its place has another flight by now.
      landed((found.identity === identity ? found.landing : undefined) ?? 'gone');
    }
  }

  /** @returns where it is; -1 if it is nowhere. @param except a place that does not count */
  #flying(first: number, identity: number, except: number): number {
    for (let at = first; at < first + entriesPerBucket; at++) {
      if (at === except || Atomics.load(this.#words, 2 * at + 1) >>> 0 !== identity) continue;
      const { identity: found, leftMs } = this.#at(at);
      if (found === identity && leftMs > 0) return at;
    }
    return -1;
  }

  /** One that was never used, else that of the same key, else the one that landed first. */
  #free(first: number, identity: number): { readonly at: number; readonly raw: bigint } | undefined {
    let best: { readonly at: number; readonly raw: bigint; readonly rank: number } | undefined;
    for (let at = first; at < first + entriesPerBucket; at++) {
      const raw = Atomics.load(this.#entries, at);
      if (raw === 0n) return { at, raw };
      const found = this.#decode(raw);
      if (found.leftMs > 0) continue;
      const isRecent = found.landing !== undefined && found.landedForMs < landedMs;
      const rank = isRecent ? found.landedForMs : found.identity === identity ? 2 * landedMs : landedMs;
      if (!best || rank > best.rank) best = { at, raw, rank };
    }
    return best;
  }

  #at(at: number): Found {
    return this.#decode(Atomics.load(this.#entries, at));
  }

  #decode(raw: bigint): Found {
    const low = Number(BigInt.asUintN(32, raw));
    const state = low % 2 ** stateBits;
    const landing = state > 0 ? landings[state - 1] : undefined;
    const sinceMs = (this.#time - Math.floor(low / 2 ** stateBits) + period) % period;
    const leftMs = (period - sinceMs) % period;
    return {
      identity: Number(BigInt.asUintN(32, raw >> 32n)),
      landing,
      // A time that is later than any lease is of another period.
      leftMs: state === 0 && leftMs <= leaseMs ? leftMs : 0,
      landedForMs: sinceMs,
    };
  }

  #entry(identity: number, state: number, afterMs: number): bigint {
    const low = ((this.#time + afterMs) % period) * 2 ** stateBits + state;
    return BigInt.asIntN(64, (BigInt(identity) << 32n) | BigInt(low));
  }

  get #time(): number {
    return Math.floor(this.#now()) % period;
  }

  #placeOf(key: string): { readonly identity: number; readonly first: number } {
    const { a, b } = this.#hasher.of(key);
    return { identity: b, first: (a & (this.#buckets - 1)) * entriesPerBucket };
  }
}
