// What an operator can ask of a running server, and what it answers: the JSON of the control socket.
// docs/control.md describes it for who speaks it by hand.

import type { Loaded } from '../config/load.js';

/** `GET /config`: as the configuration is now, and where each value came from. */
export type Settings = Pick<Loaded, 'config' | 'sources'>;

/** `GET /status`. */
export interface Status {
  readonly state: 'starting' | 'serving' | 'drained' | 'stopping';
  /** What is being done to it just now: `reload`, `scale`, …; absent when nothing is. */
  readonly doing?: string;
  /** Of the supervisor. */
  readonly pid: number;
  readonly uptimeMs: number;
  readonly app: string;
  readonly model: string;
  readonly urls: readonly string[];
  readonly generation: number;
  readonly workers: {
    /** How many are wanted; of `ppc`, which has one for each connection, 1. */
    readonly wanted: number;
    readonly ready: number;
  };
  /** In each worker; where the load decides, at the start. */
  readonly threads: number;
  /** Between which numbers the load moves them; absent where it does not. */
  readonly range?: { readonly workers: readonly [number, number]; readonly threads: readonly [number, number] };
  /** The last change of the number of workers, or of the threads of one, and why. */
  readonly scaled?: {
    readonly at: string;
    readonly from: number;
    readonly to: number;
    readonly unit: 'workers' | 'threads';
    readonly reason: string;
  };
  /** Answered since the start. */
  readonly requests: number;
  /** How the last reload, scaling and the like ended. */
  readonly last?: { readonly action: Action; readonly at: string; readonly outcome: Outcome };
}

/** An entry of `GET /workers`. */
export interface WorkerStatus {
  readonly worker: number;
  readonly pid: number;
  readonly generation: number;
  readonly stage: 'starting' | 'ready' | 'draining' | 'gone';
  /** For how long it has been able to serve; absent if it never was. */
  readonly readyMs?: number;
  readonly requests: number;
  /** From 0 to 1, by --scale-on; absent where nobody measures it. */
  readonly load?: number;
  /** Proportional set size, and processor time; absent where there is no /proc. */
  readonly memoryBytes?: number;
  readonly cpuSeconds?: number;
}

/** `GET /quarantine`: requests that have been in flight when workers ended, and those that are refused for it. */
export type { Suspect } from '../flight/quarantine.js';

/** What is asked with `GET /status` and so on. */
export const queries = ['status', 'workers', 'config', 'quarantine'] as const;
export type Query = (typeof queries)[number];

/** What is done with `POST /reload` and so on. */
export const actions = ['reload', 'switch', 'upgrade', 'scale', 'drain', 'reopen', 'release', 'stop'] as const;
export type Action = (typeof actions)[number];

/** What can be said after `mpserve ctl`. To release is to clear the quarantine. */
export const ctlWords: readonly string[] = [...queries, ...actions.filter((action) => action !== 'release')];

/** The JSON body of a `POST`; empty where there is nothing to say. */
export interface Request {
  /** For `scale`: `3`, `+2`, `-1`. */
  readonly workers?: string;
  /** For `stop`: without waiting for what is in flight. */
  readonly now?: boolean;
  /** For `switch`: values by the keys of their options, as `{ "model": "prethread", "threads": "4" }`. */
  readonly options?: Readonly<Record<string, string>>;
}

/** How it ended; the last line of a stream. */
export type Outcome =
  | { readonly ok: true; readonly message: string }
  | { readonly ok: false; readonly error: string; readonly refused?: boolean };

/** A line of a stream before that. */
export interface Progress {
  readonly progress: string;
}

/** The media type of a stream of lines, for who asks for it with `accept`. */
export const streamType = 'application/x-ndjson';
