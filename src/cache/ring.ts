// A log of records in shared memory that begins again at its start when it is full, so that the oldest records are overwritten
// first. A position only grows. There is no lock: a writer reserves its place with one atomic addition, and a reader copies a
// record and checks afterwards what it has. So a writer may be killed at any point, and what it has left is never used.
import { crc32 } from 'node:zlib';
import type { KeyHash } from './key-hash.js';
import { type SharedLayout, unitBytes, writtenAt } from './shared-layout.js';

/** A response (`packed-response`), or where the responses of a key are that has several (`positionsIn`). */
export type RecordKind = 'response' | 'list';

export interface RingRecord {
  readonly kind: RecordKind;
  readonly hash: KeyHash;
  /** Of the caller alone. */
  readonly content: Buffer;
}

const kinds: readonly RecordKind[] = ['response', 'list'];

/** See `header`. A multiple of 8: V8 copies what is not aligned byte by byte. */
const headerBytes = 32;
const magic = 0x4d505231;
/** Positions are written as 40 bits; at a gigabyte a second they last for two years. */
const positionBits = 40;
const positionEnd = 2 ** positionBits;

export class Ring {
  readonly #bytes: Uint8Array;
  readonly #units: number;
  readonly #written: BigInt64Array;
  readonly #words: Int32Array;
  readonly #ring: Int32Array;

  constructor(memory: SharedArrayBuffer, { ringAt, ringUnits }: SharedLayout) {
    this.#bytes = new Uint8Array(memory, ringAt, ringUnits * unitBytes);
    this.#ring = new Int32Array(memory, ringAt, (ringUnits * unitBytes) / 4);
    this.#units = ringUnits;
    this.#written = new BigInt64Array(memory, writtenAt, 1);
    this.#words = new Int32Array(memory, writtenAt, 2);
  }

  /** Of the next record. */
  get end(): number {
    const high = Atomics.load(this.#words, 1);
    const low = Atomics.load(this.#words, 0);
    // The upper half has changed in between.
    if (Atomics.load(this.#words, 1) !== high)
      return Number(BigInt.asUintN(positionBits, Atomics.load(this.#written, 0)));
    return (high & 0xff) * 2 ** 32 + (low >>> 0);
  }

  /** Bytes of the largest content. */
  get maxContent(): number {
    return Math.floor(this.#units / 16) * unitBytes - headerBytes;
  }

  /** Nothing has been written over it. */
  isWhole(position: number, end = this.end): boolean {
    return position >= 0 && position < end && end - position <= this.#units;
  }

  /** It is in the half that is overwritten next. */
  isOld(position: number, end = this.end): boolean {
    return end - position > this.#units / 2;
  }

  /**
   * @param onOverwritten called with each response that is about to be overwritten
   * @returns its position; undefined if it is too large, or was overwritten while it was written
   */
  append(
    kind: RecordKind,
    hash: KeyHash,
    content: Uint8Array,
    onOverwritten: (hash: KeyHash, position: number) => void,
  ): number | undefined {
    if (content.length > this.maxContent) return undefined;
    const units = Math.ceil((headerBytes + content.length) / unitBytes);
    const position = Number(BigInt.asUintN(positionBits, Atomics.add(this.#written, 0, BigInt(units))));
    this.#tellOverwritten(position, units, onOverwritten);
    this.#write(position, 0, header(kind, hash, content, position));
    this.#write(position, headerBytes, content);
    return this.isWhole(position) ? position : undefined;
  }

  /** @returns undefined if it is no longer there, or was never whole */
  read(position: number): RingRecord | undefined {
    if (!this.isWhole(position)) return undefined;
    const found = Buffer.from(this.#copy(position, 0, headerBytes).buffer);
    const [kind, length] = [kinds[found.readUInt32LE(8) >>> 8], found.readUInt32LE(20)];
    if (kind === undefined || length > this.maxContent) return undefined;
    const content = Buffer.from(this.#copy(position, headerBytes, length).buffer);
    const hash = { a: found.readUInt32LE(12), b: found.readUInt32LE(16) };
    if (!this.isIntact(found, header(kind, hash, content, position), position)) return undefined;
    return { kind, hash, content };
  }

  /** What was copied is what its writer has written. The checksum of a response is in its content. */
  isIntact(found: Buffer, expected: Buffer, position: number): boolean {
    return found.equals(expected) && this.isWhole(position);
  }

  #tellOverwritten(position: number, units: number, tell: (hash: KeyHash, position: number) => void): void {
    const before = position - this.#units;
    for (let old = Math.max(0, before); old < before + units; old++) {
      const at = (old % this.#units) * (unitBytes / 4);
      const ring = this.#ring;
      if (ring[at] !== magic || (ring[at + 1] as number) >>> 0 !== old % 2 ** 32) continue;
      // A list, or of another age.
      if (ring[at + 2] !== Math.floor(old / 2 ** 32)) continue;
      tell({ a: (ring[at + 3] as number) >>> 0, b: (ring[at + 4] as number) >>> 0 }, old);
    }
  }

  #write(position: number, offset: number, bytes: Uint8Array): void {
    const at = ((position % this.#units) * unitBytes + offset) % this.#bytes.length;
    const first = Math.min(bytes.length, this.#bytes.length - at);
    this.#bytes.set(bytes.subarray(0, first), at);
    if (first < bytes.length) this.#bytes.set(bytes.subarray(first), 0);
  }

  #copy(position: number, offset: number, length: number): Uint8Array<ArrayBuffer> {
    const at = ((position % this.#units) * unitBytes + offset) % this.#bytes.length;
    const copy = new Uint8Array(length);
    const first = Math.min(length, this.#bytes.length - at);
    copy.set(this.#bytes.subarray(at, at + first));
    if (first < length) copy.set(this.#bytes.subarray(0, length - first), first);
    return copy;
  }
}

/** The position is in it, so that a record is not taken for one of another age; of a list, a checksum of its content, too. */
function header(kind: RecordKind, { a, b }: KeyHash, content: Uint8Array, position: number): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeUInt32LE(magic, 0);
  bytes.writeUInt32LE(position % 2 ** 32, 4);
  bytes.writeUInt32LE(Math.floor(position / 2 ** 32) + kinds.indexOf(kind) * 256, 8);
  bytes.writeUInt32LE(a, 12);
  bytes.writeUInt32LE(b, 16);
  bytes.writeUInt32LE(content.length, 20);
  const ofHeader = crc32(bytes.subarray(0, 24));
  bytes.writeUInt32LE(kind === 'list' ? crc32(content, ofHeader) : ofHeader, 24);
  return bytes;
}

/** The content of a list. @param positions the newest first */
export function listOf(positions: readonly number[]): Uint8Array {
  return new Uint8Array(Float64Array.from(positions).buffer);
}

export function positionsIn({ content }: RingRecord): readonly number[] {
  const whole = content.length - (content.length % 8);
  const positions = Array.from({ length: whole / 8 }, (_, i) => content.readDoubleLE(i * 8));
  return positions.filter((position) => Number.isInteger(position) && position >= 0 && position < positionEnd);
}
