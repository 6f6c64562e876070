// What a concurrency model is to its host, the supervisor or a process of threads. There are two classes: `Pool` and
// `PerConnection`. Both keep workers of which they do not know whether they are processes or threads.
import type { Placing, Policy } from '../balance/policy.js';
import type { Config } from '../config/config.js';
import type { Acceptor, AcceptorOptions } from '../connection/acceptor.js';
import type { IncomingConnection } from '../connection/incoming.js';
import type { Queues } from '../connection/queues.js';
import type { MigrationChannel } from '../migration/channel.js';
import type { MigrationPolicy } from '../migration/policy.js';
import type { EndReason } from '../reports/exit-cause.js';
import type { RecycleLimits } from '../scaling/recycler.js';
import type { Range } from '../scaling/scaler.js';
import type { SecondaryRole } from '../secondary/address.js';
import type { StartOptions } from '../worker/runtime.js';
import type { ListeningSockets } from '../worker/settings.js';
import type { Exit, Worker } from '../worker/worker.js';
import type { Trial } from './trial.js';

export interface Strategy {
  /**
   * Settles when a request can be served. @throws StartupError; nothing is left running then
   * @param isHeld its workers get no connections before `open` is called
   */
  start(isHeld?: boolean): Promise<void>;
  /** Serves clients from now on, after it was started with `isHeld`. */
  open(): void;
  /** Has a worker serve the connection. Settles when it has ended, wherever it was served; never rejects. */
  give(connection: IncomingConnection): Promise<void>;
  /**
   * Replaces all workers by those that `next` starts: a new generation is ready before the old one drains, so there is
   * never less than before. One call at a time, together with `resize`. Absent where another strategy takes over instead.
   * @throws StartupError when the new generation cannot be ready, or what the trial has thrown; the old generation serves
   * then, and what has been replaced of it is started again
   */
  replaceAll?(next: Hosting, onProgress: OnProgress, trial?: Trial): Promise<void>;
  /**
   * Changes the number of workers, 0 or more; with 0 clients wait in the kernel. Where workers are not counted, 0 stops
   * serving and 1 resumes it. @throws StartupError when an added worker cannot be ready, or what the trial has thrown
   */
  resize(workers: number, trial?: Trial): Promise<void>;
  /**
   * Stops accepting, finishes what is in flight, and ends it by force after `ms` milliseconds. Always settles.
   * @param othersServe another strategy or server serves clients that connect again, and connections migrate there; told a
   * second time without, those that are left stay
   * @param successor serves the connections that no worker has taken
   */
  drain(ms: number, othersServe?: boolean, successor?: Successor): Promise<void>;
  /**
   * Replaces a worker by another one of the same generation.
   * @param killMs it is killed after this time (milliseconds); otherwise it drains when the other one is ready
   * @returns false when its place has been given up. @throws StartupError. Absent where workers have no places
   */
  replaceOne?(worker: Worker, reason: EndReason, killMs?: number): Promise<boolean>;
  /**
   * Places connections, starts workers and scales by this hosting from now on; the workers that there are stay. Absent where
   * each connection has its own.
   */
  use?(hosting: Hosting): void;
  /** Calls `told` with the number of migrated connections that could be served at once. Absent where any number could. */
  onCredits?(told: (count: number) => void): void;
  /** Closes the connections of the slowest clients: others wait. */
  shed(): void;
  /** Settles, in a drain, when no worker accepts connections any more. */
  acceptNoMore(): Promise<void>;
  setMigration(change: Partial<MigrationPolicy>): void;
  /** Ends everything now; a `drain` under way then settles. */
  kill(): void;
  readonly health: Health;
  snapshot(): StrategySnapshot;
}

/** The strategy that serves instead of one that drains. */
export interface Successor {
  readonly give: (connection: IncomingConnection) => Promise<void>;
  /** `rollback`: it has been there before, and the one that drains has failed. */
  readonly reason: Extract<EndReason, 'switch' | 'rollback'>;
}

/** Called with how many of how many workers have been replaced. */
export type OnProgress = (done: number, all: number) => void;

export interface StrategySnapshot {
  /** Requests answered so far; the last second of a worker that was killed may be missing. */
  readonly answered: number;
  readonly generation: number;
  /** How many workers are wanted; where they are not counted 1, and 0 while none serves. */
  readonly size: number;
  /** All that live, those that serve first. */
  readonly workers: readonly Worker[];
  /** In the order of the configuration; absent where there are none. Their workers are among those above. */
  readonly routes?: readonly RouteSnapshot[];
}

export interface RouteSnapshot extends Omit<StrategySnapshot, 'routes'> {
  readonly match: string;
  readonly health: Health;
}

/** `degraded`: fewer workers than wanted can serve. `down`: none can. Where each connection has its own, the last could not. */
export type Health = 'serving' | 'degraded' | 'down';

/** What a strategy is given by its host, at its start and, if it can replace its workers, at each reload. */
export interface Hosting {
  /** @throws StartupError when the system refuses another worker */
  readonly startWorker: (options: StartOptions) => Worker;
  /** How many are wanted; ignored where each connection has its own. */
  readonly workers: number;
  /** How many there are at first instead, as the number has been changed in the strategy before, or in the predecessor. */
  readonly size?: number | undefined;
  /** The numbers between which the load decides; undefined where it does not. */
  readonly range: Range | undefined;
  readonly recycle: RecycleLimits;
  /** Which worker gets a connection where the host accepts. */
  readonly placing: Placing;
  /** In which clients wait. */
  readonly queues: Queues;
  /** Those on which the host accepts, for all its workers. */
  readonly accepts: ListeningSockets;
  /** Open connections of all its workers together. */
  readonly maxConnections: number;
  /** Which of the workers accept on the sockets of secondary servers; ignored where each connection has its own. */
  readonly secondary: SecondaryRole;
  /** Workers that wait for a connection each, where each connection has its own. */
  readonly spares: number;
  /** Milliseconds. After the start at least one waits, until none has died for this long: it shows whether the app can live. */
  readonly probationMs: number;
  /** How many start at the same time for waiting clients is limited by what starting takes. */
  readonly limitsStarts: boolean;
  /** Milliseconds that a worker which is replaced has for what is in flight. */
  readonly drainMs: number;
  /** A reload is over when the replaced workers have gone, or after some seconds: connections take a while to move. */
  readonly awaitsExits: boolean;
  /**
   * When a start has failed the host ends, and its workers with it, but not before they have finished loading: Node aborts
   * when a thread is terminated while it loads native code.
   */
  readonly endsWithHost: boolean;
  /** Each session has its connections placed on one worker (--sticky); undefined where it is not so. */
  readonly sessions: Config['sessions']['sticky'];
  /** Connections can be taken back from workers that do not come to them. */
  readonly revokes: boolean;
  /** Makes the acceptor of the host, also for queues that no worker accepts on; undefined where there is neither. */
  readonly accept: ((options: Pick<AcceptorOptions, 'serve' | 'onCrowded' | 'usesCredits'>) => Acceptor) | undefined;
  readonly migrationChannel: MigrationChannel | undefined;
  readonly listener: HostListener;
}

/** What a strategy tells its host about its workers. */
export interface HostListener {
  /** @param replacedInMs undefined when it is not replaced */
  died(worker: Worker, exit: Exit, replacedInMs: number | undefined): void;
  /** The app of a worker has closed its server, so the worker drains. @param replacedInMs undefined when it is not replaced */
  serverClosed(worker: Worker, replacedInMs: number | undefined): void;
  /** A replacement could not be started. @param worker undefined where the system refused it */
  unfit(id: number, worker: Worker | undefined, error: Error, retryInMs: number): void;
  recycled(worker: Worker, reason: string): void;
  recycleFailed(worker: Worker, reason: string): void;
  scaled(from: number, to: number, reason: string): void;
  scaleFailed?(reason: string): void;
  connectionLost(reason: string): void;
  /** For the metrics: the policy has chosen a worker. Absent where nothing counts. */
  placed?: ((policy: Policy) => void) | undefined;
  /** So many sessions whose workers have gone, or that are not known, have been placed. */
  sessionsPlacedAgain(count: number): void;
  /** A worker is ready, or has ended. */
  readonly changed: () => void;
}

/** The longest that a reload or a switch waits until its connections have migrated (milliseconds): longer ones go on. */
export const settleMs = 8000;
