// What a worker is told before it starts: a process by a descriptor, a thread as its `workerData`. So it can begin to load
// the app at once, without waiting for a message. Plain data.
import type { AddressInfo } from 'node:net';
import type { Placing } from '../balance/policy.js';
import type { CacheSettings, Config, Limits, ServedFiles } from '../config/config.js';
import type { HeartbeatLocation } from '../hang/heartbeat.js';
import type { Coding } from '../http/coding-name.js';
import type { JournalFile } from '../inflight/journal.js';
import type { Region } from '../inflight/regions.js';
import type { Destination } from '../log/destination.js';
import type { MigrationChannel } from '../migration/channel.js';
import type { LoopSlot } from '../overload/layout.js';
import type { SlotRange } from '../overload/slot-ranges.js';
import type { RecycleLimits } from '../scaling/recycler.js';
import type { Measure, Range } from '../scaling/scaler.js';
import type { StartOptions } from './runtime.js';

/** How the workers of a host live and get their connections. */
export interface Group {
  /** Each serves one connection and ends with it; otherwise they are a pool. */
  readonly isPerConnection: boolean;
  /** The host accepts, and hands each connection to one of them; otherwise they accept themselves. */
  readonly hostAccepts: boolean;
  /** Each event loop that accepts has a queue of the kernel of its own; otherwise all have the same. */
  readonly hasQueues: boolean;
  /** The host has the connections, and gives them single requests; otherwise they serve connections. */
  readonly takesRequests: boolean;
}

/** The threads that a process hosts. */
export interface ThreadGroup extends Group {
  readonly count: number;
  /** How many a pool of them may have; min and max are `count` where it has a fixed size. */
  readonly range: Range;
  readonly recycle: RecycleLimits;
  readonly placing: Placing;
  /** Threads that each wait for a connection. */
  readonly spares: number;
  /** Requests that each handles at the same time, where they take requests. */
  readonly tasksPerThread: number;
  /** A request that changes nothing runs once more when its thread has died (--retry-safe). */
  readonly retriesSafe: boolean;
}

/** What the app and the pipeline need, in a process as in a thread. */
export interface AppSettings {
  /** Its `app` is an absolute path (with its `#export`), or undefined for the demo app. */
  readonly loading: Config['loading'];
  /** undefined where the workers that have the clients serve them. */
  readonly files: ServedFiles | undefined;
  /** What an app that asks its own server for its address is told. */
  readonly addresses: readonly (AddressInfo | string)[];
  readonly lifecycle: Config['lifecycle'];
  /** What the load is measured by that a worker reports; undefined where it reports none. */
  readonly measure: Measure | undefined;
  /** Report what the responses are like. */
  readonly counts: boolean;
  readonly countsAnswers: boolean;
  readonly backlog: number;
  readonly limits: Limits;
  readonly access: Config['access'];
  readonly clients: Config['clients'];
  readonly sessions: Config['sessions'];
  readonly overload: Config['overload'];
  /** undefined without --cache. */
  readonly cache: CacheSettings | undefined;
  /** undefined without --compress, and where the workers that have the clients do it. */
  readonly compress: readonly Coding[] | undefined;
  /** Those that the user chose; the app may change the others on its own server. */
  readonly limitsGiven: readonly (keyof Limits)[];
  /** It gives each request to the workers of the first route that matches; undefined where it has the app. */
  readonly forwards: readonly ForwardedRoute[] | undefined;
  /** Its connections are from workers that forward requests: each begins with a PROXY header. */
  readonly isForwarded: boolean;
}

/** A route, and the Unix socket of its workers. */
export interface ForwardedRoute {
  readonly match: string;
  readonly path: string;
}

/** What a worker is told besides. */
export interface ThreadSettings extends AppSettings, StartOptions {
  /** Serve one connection, then exit. */
  readonly once: boolean;
  /** This worker's share of `--max-connections`. */
  readonly maxConnections: number;
  /** Other workers accept on the same listening sockets. */
  readonly sharesSockets: boolean;
  readonly accessLog: Destination | undefined;
  /** Where connections migrate to; undefined where they do not. */
  readonly migrationChannel: MigrationChannel | undefined;
}

/** Descriptors, one for each address; none where connections are handed over. */
export type ListeningSockets = readonly number[];

export interface WorkerSettings {
  /** Of its own event loop; with its own share of them, of those of its threads. */
  readonly loop: ThreadSettings;
  /** Of this process (umask(2)). */
  readonly umask: number | undefined;
  /** undefined where the process runs the app itself. */
  readonly threads: ThreadGroup | undefined;
  /** Where its event loops accept, by their places, the first one that of place 1; where there are more places, in turn. */
  readonly listen: readonly ListeningSockets[];
  /** Descriptor of the memory that all event loops of the server share; undefined if no option needs it. */
  readonly memory: number | undefined;
  /** That of the cache, if all event loops of the server share one. */
  readonly cacheMemory: { readonly fd: number; readonly bytes: number } | undefined;
  /** Those of its event loops, in that memory; undefined if no option needs them. */
  readonly slots: SlotRange | undefined;
  /** Where requests in flight are recorded; undefined for nowhere. */
  readonly journal: JournalFile | undefined;
  /** Where the heartbeat is, if the supervisor watches this event loop. */
  readonly heartbeat: HeartbeatLocation | undefined;
}

export interface ThreadData {
  readonly settings: ThreadSettings;
  /** It takes as many requests at a time from its process, and serves no connections; 0 if it serves connections. */
  readonly tasksAtOnce: number;
  /** Marks its first message. All but the settings is deleted before the app loads, which has this object as well. */
  readonly helloKey: string;
  /** Memory that it shares with its host (`worker/thread-counters`). */
  readonly counters: Int32Array;
  /** Threads of its process that accept connections, at least 1. */
  readonly acceptors: number;
  /** How many open connections these have accepted, in memory that they share (`worker/thread-counters`). */
  readonly accepted: Int32Array;
  /** It keeps a record of its requests in flight, here; undefined where there is no room for it. */
  readonly journal: { readonly region: Region | undefined } | undefined;
  /** The memory that all event loops of the server share; undefined if no option needs it. */
  readonly memory: SharedArrayBuffer | undefined;
  /** That of the cache; undefined unless all event loops of the server share one. */
  readonly cacheMemory: SharedArrayBuffer | undefined;
  /** The one in which it counts its requests; undefined if no option needs it. */
  readonly slot: LoopSlot | undefined;
}

/** The descriptor of the channel between a worker process and the supervisor. */
export const channelDescriptor = 3;

/**
 * The descriptor from which a worker process reads its settings. Not a variable: the app, and every other process of the
 * same user, could read it in /proc/PID/environ.
 */
export const settingsDescriptor = 4;
