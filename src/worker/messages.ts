// The one protocol between a host (the supervisor, or a process of threads) and its workers (processes or threads).

import type { Placing } from '../balance/policy.js';
import type { SessionKey } from '../client/session.js';
import type { ConnectionFacts } from '../connection/incoming.js';
import type { ExitCode } from '../errors.js';
import type { WorkerEvent } from '../events.js';
import type { LoopStack } from '../hang/loop-stack.js';
import type { DenylistEntries } from '../inflight/denylist.js';
import type { MigrationChannel } from '../migration/channel.js';
import type { MigrationPolicy } from '../migration/policy.js';
import type { WorkerIdentity, WorkerReport } from '../reports/report.js';
import type { Look, LoopView } from '../scoreboard/loop-view.js';
import type { SecondaryAnswer } from '../secondary/address.js';
import type { SocketQuestion } from '../secondary/requests.js';

/** A connection as it is handed over. For a thread with its descriptor, for a process with the socket beside it. */
export type Handed = { readonly id: number; readonly facts: ConnectionFacts; readonly fd?: number };

/** Answers `listen`. The descriptor is the worker's: a thread gets its number, a process a socket beside the message. */
export type SocketMessage = { readonly type: 'socket'; readonly id: number; readonly answer: SecondaryAnswer };

/** `profile`: of the CPU, for `ms` milliseconds. `heap`: a snapshot, which blocks the event loop. */
export type DumpOrder = {
  readonly kind: 'profile' | 'heap';
  readonly ms: number;
  /** Of the thread; absent for the first one, or for a process without threads. */
  readonly tid?: number | undefined;
};

/** The descriptor is the worker's, as in `SocketMessage`. Answered when all has been written; a `failure` says why it was not. */
export type DumpMessage = {
  readonly type: 'dump';
  readonly id: number;
  readonly order: DumpOrder;
  readonly fd?: number;
};

export type ToWorker =
  /** Answered by `taken` or `refused`, then `ended`. A thread says `taken` in shared memory. */
  | ({ type: 'connection' } & Handed)
  /** Accept connections on these descriptors, which belong to you. Only for threads: a process inherits its own. */
  | { type: 'accept'; listen: readonly number[]; migrationChannel: MigrationChannel | undefined }
  /**
   * Accept no more, which is answered by `draining`; finish what is in flight, then exit; after `ms` cut it. While other
   * workers serve, connections migrate; sent again without, they no longer do.
   */
  | { type: 'drain'; ms: number; othersServe: boolean }
  /** Serve clients from now on. Only for a worker that was started held. */
  | { type: 'open' }
  | { type: 'migration'; policy: MigrationPolicy }
  /** Place connections on your threads in this way from now on. */
  | { type: 'placing'; placing: Placing }
  /** Requests that were in flight when workers died. */
  | { type: 'denylist'; entries: DenylistEntries }
  /** The server is at its limit and clients wait: close the slowest of your idle connections. */
  | { type: 'shed' }
  | SocketMessage
  /** For how long has the slowest client kept you waiting (milliseconds)? Answered by `ms`; -1 while it is the app's turn. */
  | { type: 'idle'; id: number }
  /** The access log has been renamed: go on in a new file of this path. A `failure` in the answer says why the old one goes on. */
  | { type: 'reopen'; id: number; path: string }
  /** What are your event loops at? Answered by `views`. */
  | { type: 'look'; id: number; how: Look }
  /** Can you still serve? Asks the app where it has a --ready-path. A `failure` in the answer says why not. */
  | { type: 'check'; id: number }
  /** In which code are your event loops? Answered by `loops`. A blocked one is interrupted, and answers then. */
  | { type: 'stacks'; id: number }
  | DumpMessage;

export type FromWorker =
  | { type: 'ready' }
  | { type: 'failed'; exitCode: ExitCode; message: string; stack: string }
  | { type: 'taken'; id: number }
  | { type: 'refused'; id: number }
  /** A connection that was handed over has ended. */
  | { type: 'ended'; id: number }
  /** The app has closed its server: the worker accepts no connection any more, and wants to be told to drain. */
  | { type: 'closed' }
  /** The worker has been told to drain, and accepts no connection any more. */
  | { type: 'draining' }
  /** The time to drain is running out, but connections still migrate: the worker waits until they have. */
  | { type: 'migrating' }
  /** Requests answered since the last such message. */
  | { type: 'answered'; count: number }
  /** A response of this worker has begun the session: its connections are to come here (--sticky). */
  | { type: 'session'; session: SessionKey }
  /** The load since the last such message, from 0 to 1. */
  | { type: 'load'; load: number }
  /** The app of a thread wants the process to go to this directory, and waits. A process does it itself. */
  | { type: 'chdir'; directory: string }
  /** To the question with this number. */
  | {
      type: 'answer';
      id: number;
      ms?: number;
      failure?: string;
      views?: readonly LoopView[];
      loops?: readonly LoopStack[];
    }
  /** A secondary server of the app listens, or does no more. */
  | SocketQuestion
  /** The server may act on it. */
  | { type: 'report'; report: WorkerReport & WorkerIdentity }
  /** For the log. */
  | { type: 'event'; event: WorkerEvent & WorkerIdentity };

/** What a thread sends where the app sends messages, too; `key` is from its settings. */
export function keyed(key: string, message: object): object {
  return { mpserve: key, message };
}

/** What came with the key, still to be checked; undefined for a message of the app. */
export function unkeyed(key: string, raw: unknown): unknown {
  if (typeof raw !== 'object' || raw === null) return undefined;
  const { mpserve, message } = raw as { readonly mpserve?: unknown; readonly message?: unknown };
  return mpserve === key ? (message ?? null) : undefined;
}

/** Tells our messages from those of the app. It is unlikely to collide, and node:crypto takes 1.5 to 3 ms to load. */
export function newKey(): string {
  return `${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`;
}
