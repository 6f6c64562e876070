// Runs connections inside a worker. Three ways: inline, on a thread of its own each, on a pool of threads.
import type { IncomingConnection } from '../connection/incoming.js';
import type { WorkerEvent } from '../events.js';
import type { Watched } from '../flight/watchlist.js';
import type { Leave } from './close-app.js';

export interface Executor {
  /**
   * Loads the app. Settles when a connection could be served.
   * @param warmsUp clients that come as soon as it is ready should not notice that it is new
   * @throws StartupError
   */
  start(warmsUp: boolean): Promise<void>;
  /** Serves a connection. Settles when it has ended; never rejects, whatever the client or the app does. */
  run(connection: IncomingConnection): Promise<void>;
  /**
   * Ends all connections gracefully, and cuts what is left after `ms` milliseconds. Always settles soon after.
   * @param carries connections are given to others, where they can, for as long as that goes on
   * @param onMigrating called again and again when it takes longer than `ms` for that reason
   */
  drain(ms: number, leave: Leave, carries: boolean, onMigrating: () => void): Promise<void>;
  /** Settles when its threads accept no connection any more, in a drain. Absent where they never do. */
  acceptNoMore?(): Promise<unknown>;
  /** From now on connections are not given to others, not even in a drain that does. */
  stay(): void;
  /** Gives that part of its connections to others, as they come to rest; which, is left to chance. @param part from 0 to 1 */
  share(part: number): void;
  /** Connections of others are about to come, or no longer. */
  expect(isExpecting: boolean): void;
  snapshot(): ExecutorSnapshot;
  /** How loaded it has been since it was last asked, from 0 to 1; undefined where nobody wants to know. */
  load(): number | undefined;
  /** Requests that have been in flight when workers died. */
  beware(watched: Watched): void;
  /**
   * Calls `told` with the number of threads that are ready for connections of others, whenever it changes. Absent where
   * there is always room.
   */
  onSpares?(told: (count: number) => void): void;
  /** It is crowded and clients are waiting: closes the slowest idle connections, if any. */
  shed(): void;
}

export interface ExecutorSnapshot {
  /** Requests served so far. */
  readonly served: number;
}

export type Tell = (event: WorkerEvent) => void;
