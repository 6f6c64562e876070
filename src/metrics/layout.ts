// The layout of the counters that all event loops of a server keep in shared memory. A counter is never set back, and no row
// belongs to one worker: what a worker has counted stays when it is killed, and the next one goes on.

/** Of requests; any other one is `other`, as clients choose methods. */
export const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'other'] as const;
/** Of responses, by their first digit; `aborted`: the client has gone before the end. */
export const classes = ['1xx', '2xx', '3xx', '4xx', '5xx', 'aborted'] as const;

/** Upper bounds of the buckets of a histogram (milliseconds); one more is for what takes longer. */
export const bucketMs = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000] as const;

/** Numbers of counters that follow one another. */
const groups = {
  /** `methods` times `classes`. */
  requests: methods.length * classes.length,
  /** From a request to the end of its response: the buckets, then the sum in microseconds. */
  duration: bucketMs.length + 2,
  /** From a request to the beginning of its response. */
  firstByte: bucketMs.length + 2,
  bytesIn: 1,
  bytesOut: 1,
  connections: 1,
  closed: 1,
} as const;
export type Group = keyof typeof groups;

function layOut(): { readonly starts: Readonly<Record<Group, number>>; readonly count: number } {
  let count = 0;
  const starts = Object.entries(groups).map(([name, length]) => {
    const start = count;
    count += length;
    return [name, start];
  });
  return { starts: Object.fromEntries(starts), count };
}

const { starts, count } = layOut();

/** Counters in a row. */
export const rowCounters = count;

/** Indexes of the counters of a group, in a row. */
export function rangeOf(group: Group): { readonly first: number; readonly count: number } {
  return { first: starts[group], count: groups[group] };
}

/** Two words, the lower one first: a counter has 64 bits. */
export const wordsPerCounter = 2;
export const bytesPerWord = 4;
const cacheLine = 64;
export const rowBytes = Math.ceil((rowCounters * wordsPerCounter * bytesPerWord) / cacheLine) * cacheLine;

/** Event loops count in a row each, or share one when they are many: it is exact all the same. */
export const rows = 256;
export const countersBytes = rows * rowBytes;
