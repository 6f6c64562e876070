// The protocol of the control socket: queries, actions, and their JSON. docs/control.md describes it for users.

import type { Values } from '../config/config.js';
import type { Sources } from '../config/load.js';
import type { LoopStack } from '../hang/loop-stack.js';
import type { ExitCause } from '../reports/exit-cause.js';
import type { LoopView } from '../scoreboard/loop-view.js';

/** `GET /config`: the current configuration, and the source of each value. */
export interface Settings {
  readonly config: Values;
  readonly sources: Sources;
}

/** `degraded`: fewer workers than wanted can serve. `down`: none can. */
export const serverStates = ['starting', 'serving', 'degraded', 'down', 'drained', 'stopping'] as const;

/** Worker processes and threads that have started and ended, those of the servers before an upgrade included. */
export interface Restarts {
  /** Those that have become ready. */
  readonly starts: { readonly processes: number; readonly threads: number };
  /** Without the causes that have not occurred. */
  readonly exits: readonly {
    readonly unit: 'process' | 'thread';
    readonly cause: ExitCause;
    readonly count: number;
  }[];
}

/** `GET /cache`: of all event loops together, since the start of the server. */
export interface CacheStatus {
  /** Requests that were answered with a fresh response, or a stale one that may be used. */
  readonly hits: number;
  readonly stale: number;
  /** With one that the app has said to be still right. */
  readonly revalidated: number;
  /** With the response to the same request of another client, which was on its way. */
  readonly coalesced: number;
  /** By the app, and those for which the cache was not asked. */
  readonly misses: number;
  readonly bypassed: number;
  /** Responses, and those of them that had to make room. */
  readonly stored: number;
  readonly evicted: number;
  /** In use, and --cache. */
  readonly bytes: number;
  readonly maxBytes: number;
  /** Absent where responses are in memory. */
  readonly store?: StoreStatus;
}

/** Of --cache-store. */
export interface StoreStatus {
  /** Without a password. */
  readonly name: string;
  /** No event loop has reached it since one of them failed to. */
  readonly isDown: boolean;
  /** It refuses to store more. */
  readonly takesNothing: boolean;
  /** Times that it has not done what it was asked. */
  readonly errors: number;
}

/** `GET /status`; restarts are counted only with --admin. */
export interface Status extends Partial<Restarts> {
  readonly state: (typeof serverStates)[number];
  /** The action in progress: `reload`, `scale`, …; absent if there is none. */
  readonly doing?: string;
  /** Of the supervisor. */
  readonly pid: number;
  readonly uptimeMs: number;
  readonly app: string;
  readonly model: string;
  /** What a thread gets; absent where that is connections. */
  readonly unit?: 'request';
  /** The policy of --balance; absent where connections are not handed over by one. */
  readonly balance?: string;
  /** With --sticky: how many sessions have been placed because their workers had gone, or they were not known. */
  readonly sessions?: { readonly placedAgain: number };
  /** With --cache. */
  readonly cache?: CacheStatus;
  readonly urls: readonly string[];
  readonly generation: number;
  readonly workers: {
    /** The target number; 1 for `ppc`, which has one worker for each connection. */
    readonly wanted: number;
    readonly ready: number;
  };
  /** In each worker; with auto-scaling, the number at the start. */
  readonly threads: number;
  /** Those that have workers of their own, in the order in which they are tried; absent where there are none. */
  readonly routes?: readonly RouteStatus[];
  /** The limits of auto-scaling, minimum and maximum; absent if it is off. */
  readonly range?: { readonly workers: readonly [number, number]; readonly threads: readonly [number, number] };
  /** The last change of the number of workers, or of threads in a worker. */
  readonly scaled?: {
    readonly at: string;
    readonly from: number;
    readonly to: number;
    readonly unit: 'workers' | 'threads';
    readonly reason: string;
  };
  /** Of the app: the last crash, hang or failed start of a worker or thread. */
  readonly lastError?: { readonly at: string; readonly message: string };
  /** Answered requests since the start. */
  readonly requests: number;
  /** The last action and its outcome. */
  readonly last?: { readonly action: Action; readonly at: string; readonly outcome: Outcome };
}

/** The workers of a route. */
export interface RouteStatus extends Pick<Status, 'model' | 'workers' | 'threads' | 'requests' | 'generation'> {
  readonly match: string;
  readonly unit: 'connection' | 'request';
  readonly state: 'serving' | 'degraded' | 'down';
}

/** An entry of `GET /workers`. */
export interface WorkerStatus {
  readonly worker: number;
  /** What the route matches whose requests it has; the workers of each route have numbers of their own. */
  readonly route?: string;
  readonly pid: number;
  readonly generation: number;
  readonly stage: 'starting' | 'ready' | 'draining' | 'gone';
  /** Time since the worker became ready; absent if it never was (milliseconds). */
  readonly readyMs?: number;
  readonly requests: number;
  /** Connections that the supervisor has handed to it, and those of them that are open; absent where it hands over none. */
  readonly placed?: number;
  readonly connections?: number;
  /** From 0 to 1, as --scale-on measures it; absent if the load is not measured. */
  readonly load?: number;
  /** Proportional set size, and CPU time; absent on a system without /proc. */
  readonly memoryBytes?: number;
  readonly cpuSeconds?: number;
  /** Resident set size, which counts what it shares with others as well; absent on a system without /proc. */
  readonly residentBytes?: number;
  /** Its event loops: of its threads, or its own; none before they have told anything. */
  readonly loops: readonly LoopView[];
}

/** An entry of `GET /stacks`. */
export interface WorkerStacks extends Pick<WorkerStatus, 'worker' | 'pid' | 'generation' | 'stage'> {
  /** Of its threads, or its own; none if it has just ended. */
  readonly loops: readonly LoopStack[];
}

/** `GET /quarantine`: requests that may have killed workers, and whether they are refused now. */
export type { Suspect } from '../inflight/suspect.js';

/** Requested with `GET /status` and so on. */
export const queries = ['status', 'workers', 'stacks', 'config', 'quarantine', 'cache'] as const;
export type Query = (typeof queries)[number];

/** Requested with `POST /reload` and so on. */
export const actions = [
  'reload',
  'switch',
  'upgrade',
  'scale',
  'balance',
  'drain',
  'reopen',
  'release',
  'purge',
  'stop',
] as const;
export type Action = (typeof actions)[number];

/** Requested with `POST /profile` and so on; the response is a file of V8's. */
export const dumps = ['profile', 'heap'] as const;
export type DumpKind = (typeof dumps)[number];

/** Part of another command: `quarantine clear` and `cache purge`. */
const subcommands: readonly Action[] = ['release', 'purge'];

/** The commands of `mpserve ctl`. */
export const ctlCommands: readonly string[] = [
  ...queries,
  ...dumps,
  ...actions.filter((action) => !subcommands.includes(action)),
];

/** The JSON body of a `POST`; may be empty. */
export interface Request {
  /** For `scale`: `3`, `+2`, `-1`. */
  readonly workers?: string;
  /** For `purge`: `/path` or `http://host/path`, or a tag; all without both. */
  readonly url?: string;
  readonly tag?: string;
  /** For `stop`: do not wait for requests in flight. */
  readonly now?: boolean;
  /**
   * For `switch` and `balance`: values by the keys of the configuration file, as `{ "model": "prethread", "threads": "4" }`.
   */
  readonly options?: Readonly<Record<string, string>>;
}

/** The JSON body of a `POST` for a dump; may be empty. */
export interface DumpRequest {
  /** `2`, or `2.1` for thread 1 of worker 2; by default the first worker, and its first thread. */
  readonly worker?: string;
  /** For a profile: from 1 to 60, by default 5. */
  readonly seconds?: number;
}

/** The result of an action; the last line of a stream. `refused`: the server did not start the action. */
export type Outcome =
  | { readonly ok: true; readonly message: string }
  | { readonly ok: false; readonly error: string; readonly refused?: boolean };

/** A line of a stream before the outcome. */
export interface Progress {
  readonly progress: string;
}

/** The media type of a stream of lines; a client asks for it with the `accept` header. */
export const streamType = 'application/x-ndjson';
