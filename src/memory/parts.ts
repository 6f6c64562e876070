// The layout of the memory that all event loops of a server share: which part is where. It never changes while the server
// runs, so that the workers of all generations and models agree on it. A part that no option uses takes no memory, because
// its pages are never written.

/** Bytes of each part. A part begins as zeros, except `hashKey`. */
const partBytes = {
  /** Random bytes that clients do not know: for tables whose keys clients choose. */
  hashKey: 16,
  /** For --max-inflight and --admin: `placesBytes` of `overload/layout`, which would be one more file of each thread. */
  places: 2_097_280,
  /** Refused requests: how many have not been reported, and when some were reported. */
  refusals: 8,
  /** The token buckets of --rate-limit: 262,144, for as many clients. */
  buckets: 2 * 1024 ** 2,
  /** For --health-path with --stop-delay: a word that is not 0 once the server is about to stop. */
  state: 4,
  /** For --admin: `countersBytes` of `metrics/layout`, for the same reason as `places`. */
  counters: 394_752,
  /** For --cache: `purgesBytes` of `cache/purges`, for the same reason. */
  purges: 4 * 1024 ** 2,
  /** For --cache-store: since when it is down, and takes nothing; 0 if neither. */
  storeState: 8,
  /** For --cache-store: `purgeLogBytes` of `cache/purge-log`. */
  purgeLog: 1024,
} as const satisfies Readonly<Record<string, number>>;

export type PartName = keyof typeof partBytes;

export interface PartRange {
  /** Bytes from the start of the memory; a multiple of 64, so that no two parts share a cache line of the processor. */
  readonly start: number;
  readonly bytes: number;
}

export interface Part extends PartRange {
  readonly memory: SharedArrayBuffer;
}

const alignment = 64;

/** Offsets of the parts, and the bytes of all. */
function layOut(): { readonly starts: Readonly<Record<PartName, number>>; readonly bytes: number } {
  let bytes = 0;
  const starts = Object.entries(partBytes).map(([name, length]) => {
    const start = bytes;
    bytes += Math.ceil(length / alignment) * alignment;
    return [name, start];
  });
  return { starts: Object.fromEntries(starts), bytes };
}

const { starts, bytes } = layOut();

export const memoryBytes = bytes;

/** Where a part is in the memory. */
export function rangeOf(name: PartName): PartRange {
  return { start: starts[name], bytes: partBytes[name] };
}

/** @param memory of `mapServerMemory` */
export function partOf(memory: SharedArrayBuffer, name: PartName): Part {
  return { memory, ...rangeOf(name) };
}
