// What a worker process and one of its threads say to each other, on a channel of their own.
import { MessagePort, type ResourceLimits } from 'node:worker_threads';
import type { ConnectionFacts } from '../connection/incoming.js';
import type { Place } from '../flight/deck.js';
import type { MigrationChannel } from '../migration/channel.js';
import type { FromWorker, ToWorker } from './messages.js';
import type { ThreadSettings } from './settings.js';

export type ToThread =
  /** Load the app. `warmsUp` as in `Executor.start`. */
  | ({ type: 'load'; maxConnections: number; warmsUp: boolean } & Provisions)
  /** Now that you are ready, accept on these descriptors, which belong to you until you drain. */
  | { type: 'accept'; listen: readonly number[]; migrationChannel: MigrationChannel | undefined }
  /** Serve this connection, which now belongs to you, and end with it. */
  | { type: 'serve'; handed: Handed }
  | Extract<ToWorker, { type: 'drain' | 'stay' | 'share' | 'idle?' | 'shed' | 'beware' }>;

/** A connection, as the task of a thread. */
export interface Handed extends ConnectionFacts {
  readonly fd: number;
}

export type FromThread =
  | Extract<FromWorker, { type: 'ready' | 'failed' | 'served' | 'draining' | 'migrating' | 'load' | 'idle' | 'event' }>
  /** All connections have ended; the thread may be ended, too. */
  | { type: 'drained' };

/** A thread's first word, over its parent port: here I am, and this is how to talk to me. */
export interface Hello {
  /** As in `ThreadData`. */
  readonly mpserve: string;
  readonly threadId: number;
  readonly port: MessagePort;
}

export interface ThreadData {
  readonly settings: ThreadSettings;
  /** Marks its first word. It is deleted before the app loads, which has this object and the parent port as well. */
  helloKey?: string;
  /** Of a thread that is for one connection: that, if it is there already; absent in a pool. */
  readonly only?: { readonly handed?: Handed } & Provisions;
}

/** What each thread has of its own. */
export interface Provisions {
  /** The counters that it shares with its process, by `slot`. */
  readonly taken: Int32Array;
  /** Where it keeps record of the requests that it is at; undefined for nowhere. */
  readonly place: Place | undefined;
}

/**
 * What is where in the memory that a thread shares with its process: connections taken, its heartbeat, and
 * open connections that the thread has accepted itself.
 */
export const slot = { taken: 0, dueBy: 1, accepted: 2 } as const;

export function sharedCounters(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * Object.keys(slot).length));
}

/** Of a thread: bytes of JavaScript objects that have lived for a while. */
export function heapLimit(bytes: number): ResourceLimits {
  return { maxOldGenerationSizeMb: Math.max(1, Math.round(bytes / 1024 ** 2)) };
}

/** Why a thread has ended that could not go on. */
export function deathOf({ code, message }: NodeJS.ErrnoException): string {
  return code === outOfMemory ? 'its heap was full (--max-thread-heap)' : message;
}

export const outOfMemory = 'ERR_WORKER_OUT_OF_MEMORY';

/** A task that is none. */
export const nobody: Handed = { fd: -1, requests: 0, isMigrated: false };

/** What went wrong with a thread that is gone and was never ready. */
export const endedLoading = 'the app ended its thread while it was loading (does it call process.exit?)';

/** Whether it is a thread's first word, and not a message of the app. */
export function isHello(message: unknown, key: string): message is Hello {
  if (typeof message !== 'object' || message === null) return false;
  const { mpserve, threadId, port } = message as Partial<Hello>;
  return mpserve === key && Number.isSafeInteger(threadId) && port instanceof MessagePort;
}
