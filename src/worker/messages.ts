// What a supervisor and a worker say to each other, on a channel that the app may use as well (`process.send`). Those to a
// worker are commands that the app's listeners do not hear; those of a worker carry a key that the app is not given, and
// the supervisor checks them (`worker-messages`).

import type { ConnectionFacts } from '../connection/incoming.js';
import type { ExitCode } from '../errors.js';
import type { WorkerEvent, WorkerIdentity } from '../events.js';
import type { Watched } from '../flight/watchlist.js';

export type ToWorker =
  /** Comes with its socket; answered by `accepted` or `refused`. */
  | ({ type: 'connection'; id: number } & ConnectionFacts)
  /**
   * Accept no more, which is answered by `draining`. Finish what is in flight, then exit; after `ms` cut it. Connections
   * are given to others, or end.
   */
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
  /** It has been told to drain, and accepts no connection any more. */
  | { type: 'draining' }
  /** Its time to drain is running out, but connections still change hands: it waits until they have. */
  | { type: 'migrating' }
  /** How loaded it has been since the last such message, from 0 to 1. */
  | { type: 'load'; load: number }
  /** Milliseconds that the client has kept us waiting; -1 while it is the app's turn. */
  | { type: 'idle'; ms: number }
  /** The access log has been opened anew, or it goes on in the old file, for this reason. */
  | { type: 'reopened'; failure?: string }
  | { type: 'event'; event: WorkerEvent & WorkerIdentity };

/** Node delivers what has such a `cmd` as 'internalMessage', which node:cluster uses, too: no listener of the app hears it. */
const command = 'NODE_MPSERVE';

/** `message` as it is sent to a worker. */
export function commandOf(message: ToWorker): { readonly cmd: string; readonly message: ToWorker } {
  return { cmd: command, message };
}

/** The supervisor's message in what has come on the channel; undefined for a command of Node's own. */
export function messageIn(raw: unknown): ToWorker | undefined {
  const { cmd, message } = raw as Partial<ReturnType<typeof commandOf>>;
  return cmd === command ? message : undefined;
}

/** `message` as a worker sends it, with the key from its settings. */
export function keyed(key: string, message: FromWorker): object {
  return { mpserve: key, message };
}

/** What came with the key, still to be checked; undefined for a message of the app. */
export function unkeyed(key: string, raw: unknown): unknown {
  if (typeof raw !== 'object' || raw === null) return undefined;
  const { mpserve, message } = raw as { readonly mpserve?: unknown; readonly message?: unknown };
  return mpserve === key ? (message ?? null) : undefined;
}

/**
 * Sets our messages apart from those of the app. No protection: a process can read its first environment. Unlikely to
 * meet again, and node:crypto takes 1.5 to 3 ms to load.
 */
export function newKey(): string {
  return `${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`;
}
