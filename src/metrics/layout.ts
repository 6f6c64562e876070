// The layout of the counters that all event loops of a server keep in shared memory, and its supervisor beside them. A counter
// is never set back, and no row belongs to one worker: what a worker has counted stays when it is killed, and the next one goes
// on.
import type { Policy } from '../balance/policy.js';
import type { LoopSlot } from '../overload/layout.js';
import { type ExitCause, exitCauses } from '../reports/exit-cause.js';

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

/** What starts and ends. */
export const units = ['process', 'thread'] as const;
export type UnitKind = (typeof units)[number];

/** Why the server has answered a request in place of the app. The first is 429, the last two are 413 and 504, others 503. */
export const refusalReasons = [
  'rate-limit',
  'queue-full',
  'queue-timeout',
  'shed',
  'draining',
  'quarantined',
  'too-large',
  'deadline',
] as const;
export type RefusalReason = (typeof refusalReasons)[number];

/** Why a connection has ended. */
export const closeCauses = [
  /** The client has closed or reset it. */
  'client',
  /** After a response, as the request or the response says (`Connection: close`, HTTP/1.0). */
  'response',
  /** --keep-alive-timeout. */
  'idle',
  /** --header-timeout, --request-timeout or --request-deadline. */
  'timeout',
  /** What the client sent is no HTTP. */
  'invalid',
  /** The server has refused a request whose body was to come. */
  'refused',
  /** Others waited at --max-connections. */
  'shed',
  /** Its worker or thread ended. */
  'drain',
  /** Another worker or server serves it. */
  'migrated',
  /** The app, or the system. */
  'other',
] as const;
export type CloseCause = (typeof closeCauses)[number];

/** Of --balance, as in `balance/policy`: another file would be loaded by each worker. */
export const placingPolicies = [
  'round-robin',
  'weighted',
  'least-connections',
  'random-two',
  'ip-hash',
  'lag',
  'first-idle',
] as const satisfies readonly Policy[];

/** What the cache does with a request (--cache): answers it, has the app answer it, or is not asked. */
export const cacheOutcomes = ['hit', 'stale', 'revalidated', 'coalesced', 'miss', 'bypass'] as const;
export type CacheOutcome = (typeof cacheOutcomes)[number];
/** And responses that have been stored, and those of them that had to make room. */
export const cacheCounters = [...cacheOutcomes, 'stored', 'evicted'] as const;

/** Why the store of --cache-store has not done what it was asked: `refused` is an error that it answers, `busy` is that too
 * much is on its way there. */
export const cacheStoreErrors = ['timeout', 'connection', 'refused', 'garbage', 'busy'] as const;
export type CacheStoreError = (typeof cacheStoreErrors)[number];
/** And how often it has gone down, and come up again. */
export const cacheStoreCounters = [...cacheStoreErrors, 'down', 'up'] as const;

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
  /** By `closeCauses`. */
  closedBy: closeCauses.length,
  /** By `refusalReasons`. */
  refused: refusalReasons.length,
  received: 1,
  sent: 1,
  accessLinesLost: 1,
  /** By `cacheCounters`. */
  cache: cacheCounters.length,
  /** By `cacheStoreCounters`. */
  cacheStore: cacheStoreCounters.length,
  /** From here on the hosts count: the supervisor, or a process with threads. By `units`: those that have become ready. */
  starts: units.length,
  /** `units` times `exitCauses`. */
  exits: units.length * exitCauses.length,
  /** Decisions, by `placingPolicies`. */
  placed: placingPolicies.length,
  /** Connections that were closed before a worker had them. */
  unserved: 1,
  /** Requests that have run once more, as their threads had died (--retry-safe). */
  retried: 1,
  /** From here on only the supervisor. */
  hangs: 1,
  crashes: 1,
  /** Requests that were in flight when their worker or thread died. */
  lost: 1,
  placedAgain: 1,
  /** `operations` that were done, and those that failed. */
  done: operations.length,
  failed: operations.length,
  rolledBack: operations.length,
  /** Of the supervisor: processor time, and the time in which its event loop was busy (microseconds). */
  supervisorCpu: 1,
  supervisorBusy: 1,
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

/** Only the supervisor writes to it. */
export const supervisorRow = 0;
/** In which hosts of threads count, and event loops that have none of their own. */
export const sharedRow = 1;
const firstOwnRow = 2;
/** As many event loops have a row of their own. */
const ownRows = 255;

/** Of an event loop, which alone writes to it as long as it has the slot; or the shared one. */
export function rowOf(slot: LoopSlot | undefined): number {
  return slot && !slot.isShared && slot.index < ownRows ? firstOwnRow + slot.index : sharedRow;
}

/** How many rows are used, from the first one on. @param slots how many have ever been given out, from the first one on */
export function usedRows(slots: number): number {
  return firstOwnRow + Math.min(slots, ownRows);
}

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
    rows: firstOwnRow + ownRows,
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

/** Index in `exits`. */
export function exitIndex(unit: UnitKind, cause: ExitCause): number {
  return units.indexOf(unit) * exitCauses.length + exitCauses.indexOf(cause);
}

/** Index in `answered`. */
export function answeredIndex(method: number, statusClass: number): number {
  return method * statusClasses.length + statusClass;
}
