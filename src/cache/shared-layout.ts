// The layout of the memory of a cache that all event loops of a machine share (--cache-store shared): a head, the flights, the
// marks of records that are being kept, the index, and the ring of records. It follows from the size alone, as an app can write
// anything to the memory.

/** Of --cache: the rest is for decoded copies and for bodies on their way, in the memory of each event loop. */
const sharedFraction = 13 / 16;

/** A record begins at a multiple of it, and a bucket of the index or of the flights is as large: a line of the processor's cache. */
export const unitBytes = 64;
export const entryBytes = 8;
export const entriesPerBucket = unitBytes / entryBytes;

/** Where the head has how much has ever been written to the ring: units, as a 64-bit word. */
export const writtenAt = 0;
const headBytes = 64;

export const keepMarks = 1024;

export interface SharedLayout {
  /** Bytes from the start. */
  readonly flightsAt: number;
  readonly flightBuckets: number;
  readonly marksAt: number;
  readonly indexAt: number;
  readonly indexBuckets: number;
  readonly ringAt: number;
  readonly ringUnits: number;
}

/** @param cache bytes of --cache. @returns those of the memory */
export function sharedBytes(cache: number): number {
  return Math.floor((cache * sharedFraction) / unitBytes) * unitBytes;
}

/** @param bytes of the memory, a multiple of `unitBytes` */
export function layOut(bytes: number): SharedLayout {
  const flightBuckets = Math.min(2048, Math.max(64, powerOfTwo(bytes / 4096)));
  // An entry for each 256 to 512 bytes: few responses with their heads are smaller.
  const indexBuckets = Math.max(16, powerOfTwo(bytes / 32 / unitBytes));
  const flightsAt = headBytes;
  const marksAt = flightsAt + flightBuckets * unitBytes;
  const indexAt = marksAt + keepMarks * 4;
  const ringAt = indexAt + indexBuckets * unitBytes;
  const ringUnits = Math.floor((bytes - ringAt) / unitBytes);
  return { flightsAt, flightBuckets, marksAt, indexAt, indexBuckets, ringAt, ringUnits };
}

/** Not above it. */
function powerOfTwo(value: number): number {
  return 2 ** Math.floor(Math.log2(value));
}

/** @param written units, of the head. @returns the bytes of the ring that are in use */
export function usedBytes(written: bigint, { ringUnits }: SharedLayout): number {
  const units = BigInt.asUintN(63, written);
  return Number(units < BigInt(ringUnits) ? units : BigInt(ringUnits)) * unitBytes;
}
