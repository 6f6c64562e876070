// The results of a comparison, as plain data: the file of `--json`, and the input of the table, the page and `--compare`.
// docs/bench.md documents the format.

import type { Machine } from '../testbed/machine.js';

/** The version of the file format. It changes when a reader of the old format would misread the new one. */
export const schema = 'mpserve-bench/1';

export interface Results {
  readonly schema: typeof schema;
  /** Start time (ISO 8601). */
  readonly at: string;
  readonly machine: Machine & { readonly memoryBytes: number };
  /** The version of mpserve. */
  readonly version: string;
  /** A path, or `the built-in demo app`. */
  readonly app: string;
  readonly settings: {
    readonly rounds: number;
    readonly durationMs: number;
    /** Requests per second of an open loop; absent for a closed loop. */
    readonly rate?: number | undefined;
  };
  readonly contenders: readonly Contender[];
  readonly scenarios: readonly ScenarioInfo[];
  readonly cells: readonly Cell[];
  /** What limits the validity of the results, a sentence each. */
  readonly warnings: readonly string[];
  /** The user stopped the comparison before its end. */
  readonly interrupted: boolean;
}

/** A target, as the results name it. */
export interface Contender {
  /** `prefork`, or another server such as `nginx`. */
  readonly name: string;
  /** The command line that starts the target by hand. */
  readonly command: string;
  /** Workers × threads, such as `2 × 1`; empty if the target did not start. */
  readonly size: string;
  /** Milliseconds from spawn to ready, for each start. */
  readonly bootMs: readonly number[];
  /** Why the target could not be measured, in one line. */
  readonly failure?: string | undefined;
}

export interface ScenarioInfo {
  readonly name: string;
  /** The load, in one sentence. */
  readonly summary: string;
}

/** All rounds of one target in one scenario with one number of connections. */
export interface Cell {
  readonly contender: string;
  readonly scenario: string;
  readonly connections: number;
  readonly rounds: readonly Round[];
}

/** One measurement. Metrics that could not be measured are absent. */
export interface Round {
  /** Requests that got a response, whatever its status. */
  readonly requests: number;
  /** For an open loop, only responses within the duration count. */
  readonly requestsPerSecond: number;
  readonly latencyMs?: Latency | undefined;
  readonly errors: Errors;
  /** User and system CPU time of the process tree per completed request; absent if the load has requests that do not count. */
  readonly cpuMicrosPerRequest?: number | undefined;
  /** The highest sampled proportional set size of the process tree. */
  readonly peakMemoryBytes?: number | undefined;
  /** Growth of the process tree's memory per idle connection; for the idle load only. */
  readonly memoryPerConnectionBytes?: number | undefined;
  /** The most connections open at the same time; for the idle load only. */
  readonly connectionsHeld?: number | undefined;
  /** CPU time of the busiest worker or thread over the mean; 1 is perfectly fair. */
  readonly unfairness?: number | undefined;
  /** Event loop utilisation of the load generator, 0 to 1; near 1 the generator was the bottleneck. */
  readonly generatorUtilisation: number;
}

export interface Latency {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** For the chart: latency in milliseconds at each percentile in `distribution`. */
  readonly distribution: readonly number[];
}

/** The percentiles of `Latency.distribution`. */
export const distribution = [0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99, 100] as const;

export interface Errors {
  /** The connection was refused, reset or closed before the response was complete. */
  readonly connection: number;
  readonly timeout: number;
  /** The response had a status other than 2xx or 3xx. */
  readonly status: number;
}
