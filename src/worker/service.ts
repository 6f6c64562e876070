// What serves connections inside a worker: the app on the worker's own event loop, or threads that the worker hosts.

import type { StopReason } from '../app/close-app.js';
import type { Placing } from '../balance/policy.js';
import type { IncomingConnection } from '../connection/incoming.js';
import type { WorkerEvent } from '../events.js';
import type { LoopStack } from '../hang/loop-stack.js';
import type { DenylistEntries } from '../inflight/denylist.js';
import type { MigrationPolicy } from '../migration/policy.js';
import type { RequestInFlight, WorkerReport } from '../reports/report.js';
import type { Look, LoopView } from '../scoreboard/loop-view.js';
import type { DumpOrder } from './messages.js';

/** Sends the supervisor a report, or an event for the log. */
export type Tell = (told: WorkerReport | WorkerEvent) => void;

export interface DrainOrder {
  /** Milliseconds after which what is left is cut. */
  readonly ms: number;
  readonly reason: StopReason;
  /** Other workers serve clients that connect again. Connections migrate, as far as they take them. */
  readonly othersServe: boolean;
  /** Called again and again when migration takes longer than `ms`. */
  readonly onMigrating: () => void;
}

export interface Service {
  /** Requests answered so far. */
  readonly answered: number;
  /** Loads the app. Settles when a connection could be served. @throws StartupError */
  start(): Promise<void>;
  /** Serves clients from now on. Absent where that needs nothing. */
  open?(): void;
  /** Whether it can still serve. @returns why not */
  check(): Promise<string | undefined>;
  /** Serves a connection. Settles when it has ended; never rejects, whatever the client or the app does. */
  serve(connection: IncomingConnection): Promise<void>;
  /** Settles soon after the time that the order gives, at the latest. */
  drain(order: DrainOrder): Promise<void>;
  /**
   * In a drain: what is left is cut after `ms` milliseconds, if that is sooner than it was to be.
   * @param othersServe false: from now on no other worker serves, either
   */
  drainSooner(ms: number, othersServe: boolean): void;
  /** Settles when its threads accept no connection any more, in a drain. Absent where it has none. */
  acceptNoMore?(): Promise<void>;
  setMigration(policy: MigrationPolicy): void;
  /** The load since the last call, from 0 to 1; undefined where it is not measured. */
  load(): number | undefined;
  setDenylist(denylist: DenylistEntries): void;
  /** Calls `told` with the number of migrated connections that could be served well now. Absent where any number could. */
  onCredits?(told: (count: number) => void): void;
  /** Absent where it has no threads. */
  setPlacing?(placing: Placing): void;
  /** Closes the slowest idle connections, if any: clients wait. */
  shed(): void;
  /** Milliseconds for which the slowest client has kept it waiting; -1 while it is the app's turn. */
  idleFor(): number;
  /** The requests that are being served on this event loop. */
  inFlight(): readonly RequestInFlight[];
  /** What its event loops are doing. Settles soon, also where one of several threads is blocked. */
  look(how: Look): Promise<readonly LoopView[]>;
  /** In which code its threads are. Absent where it has none. */
  stacks?(): Promise<readonly LoopStack[]>;
  /** Has a thread write a dump to `fd`, which is closed. @returns why it could not. Absent where it has none */
  dump?(order: DumpOrder, fd: number): Promise<string | undefined>;
}
