// What a worker process and one of its threads say to each other, on a channel of their own.
import type { MessagePort } from 'node:worker_threads';
import type { FromWorker, ToWorker } from '../process/messages.js';
import type { ThreadSettings } from '../process/settings.js';

export type ToThread =
  /** Load the app; then accept on these descriptors, which now belong to the thread. */
  | { type: 'load'; listen: readonly number[]; maxConnections: number; taken: Int32Array }
  | Extract<ToWorker, { type: 'drain' | 'idle?' | 'shed' }>;

export type FromThread =
  | Extract<FromWorker, { type: 'ready' | 'failed' | 'served' | 'idle' | 'event' }>
  /** All connections have ended; the thread may be ended, too. */
  | { type: 'drained' };

/** A thread's first word, over its parent port: here I am, and this is how to talk to me. */
export interface Hello {
  readonly mpserve: 'hello';
  readonly threadId: number;
  readonly port: MessagePort;
}

export interface ThreadData {
  readonly settings: ThreadSettings;
  /** The one connection that the thread is for, with the counter that says whether it took it; none in a pool. */
  readonly only?: { readonly fd: number; readonly taken: Int32Array };
}

/** What went wrong with a thread that is gone and was never ready. */
export const endedLoading = 'the app ended its thread while it was loading (does it call process.exit?)';

export function isHello(message: unknown): message is Hello {
  return typeof message === 'object' && message !== null && (message as Partial<Hello>).mpserve === 'hello';
}
