// What a worker is told before it starts, by an environment variable: it can begin to load the app at once,
// without waiting for a first message. Plain data.
import type { AddressInfo } from 'node:net';
import type { Limits } from '../config/config.js';
import type { Accept } from '../config/model.js';
import type { Box } from '../flight/berths.js';
import type { HeartbeatPlace } from '../hang/heartbeat.js';
import type { Destination } from '../log/destination.js';
import type { MigrationChannel } from '../migration/channel.js';
import type { Wear } from '../upkeep/recycler.js';
import type { Measure, Range } from '../upkeep/scaler.js';

export interface WorkerSettings {
  readonly worker: number;
  readonly generation: number;
  /** Marks its messages to the supervisor. */
  readonly channelKey: string;
  /** The app as an absolute path (with its `#export`), or undefined for the demo app. */
  readonly app: string | undefined;
  /** What an app that asks its own server for its address is told. */
  readonly addresses: readonly (AddressInfo | string)[];
  readonly demoFaults: boolean;
  /** Of this process (umask(2)). */
  readonly umask: number | undefined;
  /** Milliseconds that the app may take to load. */
  readonly bootTimeout: number;
  /** How a connection is run: in the process itself, on one of a pool of threads, or on a thread of its own. */
  readonly executor: 'inline' | 'thread-pool' | 'thread-per-connection';
  /** In a pool: whether its threads accept by themselves, or the process accepts and places. */
  readonly threadAccept: Accept;
  readonly threads: number;
  /** How many threads a pool of them may have; min and max are `threads` where it is of one size. */
  readonly threadRange: Range;
  /** By what the loads are measured that it reports; undefined where nobody wants to know. */
  readonly measure: Measure | undefined;
  /** When a thread of a pool is replaced. */
  readonly threadWear: Wear;
  /** Milliseconds that a thread which is replaced has for what is in flight. */
  readonly gracefulTimeout: number;
  /** Bytes of JavaScript objects that a thread may have; 0 is what V8 makes of the machine. */
  readonly maxThreadHeap: number;
  /** Threads that wait for a connection each. */
  readonly spares: number;
  /** Descriptors of listening sockets to accept on; empty where connections are given. */
  readonly listen: readonly number[];
  readonly backlog: number;
  /** Serve one connection, then exit. */
  readonly once: boolean;
  /** An app that was loaded the same way has been found to be ready before. */
  readonly isRehearsed: boolean;
  /** Before it loads the app: clients that come as soon as it is ready should not notice that it is new. */
  readonly warmsUp: boolean;
  /** This worker's share of `--max-connections`. */
  readonly maxConnections: number;
  /** Asked of the app until the answer is good; only then it is ready. */
  readonly readyPath: string | undefined;
  /** Where it keeps record of the requests that it is at; undefined for nowhere. */
  readonly flights: Box | undefined;
  /** Where it has its heartbeat, if its supervisor watches its event loop. */
  readonly heartbeat: HeartbeatPlace | undefined;
  /** An event loop that has not turned for so long is ended (milliseconds); 0 is never. */
  readonly hangTimeout: number;
  /** It tells what its answers are like. */
  readonly countsAnswers: boolean;
  /** Where connections go and come from that are carried over; undefined where they are not. */
  readonly migrationChannel: MigrationChannel | undefined;
  readonly limits: Limits;
  /** Those that the user chose; the app may change the others on its own server. */
  readonly limitsGiven: readonly (keyof Limits)[];
  readonly accessLog: Destination | undefined;
}

/** What a thread is told; the process around it keeps the rest. */
export type ThreadSettings = Pick<
  WorkerSettings,
  | 'app'
  | 'addresses'
  | 'demoFaults'
  | 'bootTimeout'
  | 'limits'
  | 'migrationChannel'
  | 'countsAnswers'
  | 'readyPath'
  | 'isRehearsed'
  | 'warmsUp'
  | 'hangTimeout'
  | 'measure'
  | 'flights'
  | 'limitsGiven'
  | 'accessLog'
  | 'backlog'
>;

/** For a thread, which the app can read: all but what is the process's own. */
export function threadSettings({ channelKey: _, ...settings }: WorkerSettings): ThreadSettings {
  return settings;
}

export const settingsVariable = 'MPSERVE_WORKER_SETTINGS';
