// The layout of the counters that all event loops of a server keep in shared memory, and its supervisor beside them. A counter
// is never set back, and no row belongs to one worker: what a worker has counted stays when it is killed, and the next one goes
// on.

/** Of requests; any other one is `other`, as clients choose methods. */
export const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'other'] as const;
/** Of responses, by their first digits. An app can set others than those of HTTP. */
export const statusClasses = ['1xx', '2xx', '3xx', '4xx', '5xx', 'other'] as const;

/** Upper bounds of the buckets of a histogram (milliseconds); one more is for what takes longer. */
export const bucketMs = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000] as const;
/** Its counters: one for each bucket, and the sum (microseconds). */
const histogram = bucketMs.length + 2;

/** What operators do, by the names of the reports. */
export const operations = ['reload', 'upgrade', 'scale', 'switch', 'drain'] as const;

/** Numbers of counters that follow one another. The successor of an upgrade reads them by these names. */
const lengths = {
  /** Requests that have been answered: `methods` times `statusClasses`. */
  answered: methods.length * statusClasses.length,
  /** Requests whose clients have gone before the response. */
  unanswered: 1,
  /** Of the answered ones, those of which the client has not got the whole response. */
  cut: 1,
  /** From a request to the end of its response. */
  duration: histogram,
  /** From a request to the beginning of its response. */
  firstByte: histogram,
  opened: 1,
  closed: 1,
  received: 1,
  sent: 1,
  /** From here on the supervisor counts. Processes that have become ready. */
  workerStarts: 1,
  workerDeaths: 1,
  threadDeaths: 1,
  hangs: 1,
  crashes: 1,
  /** Requests that were in flight when their worker or thread died. */
  lost: 1,
  placedAgain: 1,
  /** `operations` that were done, and those that failed. */
  done: operations.length,
  failed: operations.length,
} as const;
export type Group = keyof typeof lengths;

export interface GroupRange {
  /** Index of its first counter in a row. */
  readonly first: number;
  readonly count: number;
}

/** Bytes, and indexes in a row. */
export interface CountersLayout {
  readonly rows: number;
  readonly rowBytes: number;
  readonly groups: Readonly<Record<Group, GroupRange>>;
}

/** Event loops count in a row each, or share one when they are many: it is exact all the same. */
export const loopRows = 256;
/** Only the supervisor writes to it. */
export const supervisorRow = loopRows;

/** Two words, the lower one first: a counter has 64 bits. */
export const wordsPerCounter = 2;
export const bytesPerWord = 4;
const cacheLine = 64;

function layOut(): CountersLayout & { readonly rowCounters: number } {
  let first = 0;
  const groups = Object.entries(lengths).map(([name, count]) => {
    const range = { first, count };
    first += count;
    return [name, range];
  });
  return {
    rows: loopRows + 1,
    rowBytes: Math.ceil((first * wordsPerCounter * bytesPerWord) / cacheLine) * cacheLine,
    groups: Object.fromEntries(groups),
    rowCounters: first,
  };
}

const { rowCounters: count, ...rest } = layOut();

export const layout: CountersLayout = rest;
/** Counters in a row. */
export const rowCounters = count;
export const countersBytes = layout.rows * layout.rowBytes;

/** Index in `answered`. */
export function answeredIndex(method: number, statusClass: number): number {
  return method * statusClasses.length + statusClass;
}
