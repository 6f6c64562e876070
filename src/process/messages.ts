// What a supervisor and a worker say to each other, on a channel that the app may use as well
// (`process.send`): ours carry a tag, and what does not is the app's and passes by untouched.

import type { ExitCode } from '../errors.js';
import type { WorkerEvent, WorkerIdentity } from '../events.js';
import type { Watched } from '../flight/watchlist.js';

export type ToWorker =
  /** Comes with a socket, on which so many requests have been answered; answered by `accepted` or `refused`. */
  | { type: 'connection'; id: number; requests: number }
  /** Finish what is in flight, then exit; after `ms` cut it. Connections are given to others, or end. */
  | { type: 'drain'; ms: number; carries: boolean }
  /** From now on your connections are not given to others, not even if you drain. */
  | { type: 'stay' }
  /** Give that part of your connections, from 0 to 1, to others. */
  | { type: 'share'; part: number }
  /** Connections of others are about to come, or no longer. */
  | { type: 'expect'; isExpecting: boolean }
  /** For how long has your one connection been idle? Answered by `idle`. */
  | { type: 'idle?' }
  /** Requests that have been in flight when workers died. */
  | { type: 'beware'; watched: Watched }
  /** It is crowded: close the slowest of your idle connections, if there are any. */
  | { type: 'shed' }
  /** The file of your access log has been renamed: go on in a new one of this path. Answered by `reopened`. */
  | { type: 'reopen'; path: string };

export type FromWorker =
  | { type: 'ready' }
  | { type: 'failed'; exitCode: ExitCode; message: string; stack: string }
  | { type: 'accepted'; id: number }
  | { type: 'refused'; id: number }
  /** A connection that was given has ended. */
  | { type: 'closed'; id: number }
  /** Requests served since the last such message. */
  | { type: 'served'; count: number }
  /** Its time to drain is running out, but connections still change hands: it waits until they have. */
  | { type: 'migrating' }
  /** How loaded it has been since the last such message, from 0 to 1. */
  | { type: 'load'; load: number }
  /** Milliseconds that the client has kept us waiting; -1 while it is the app's turn. */
  | { type: 'idle'; ms: number }
  /** The access log has been opened anew, or it goes on in the old file, for this reason. */
  | { type: 'reopened'; failure?: string }
  | { type: 'event'; event: WorkerEvent & WorkerIdentity };

const tag = 'mpserve';

export interface Tagged<M> {
  readonly [tag]: M;
}

export function tagged<M extends ToWorker | FromWorker>(message: M): Tagged<M> {
  return { [tag]: message };
}

/** Our message in `raw`, or undefined when it is the app's. */
export function untagged<M extends ToWorker | FromWorker>(raw: unknown): M | undefined {
  return typeof raw === 'object' && raw !== null ? ((raw as Partial<Tagged<M>>)[tag] ?? undefined) : undefined;
}
