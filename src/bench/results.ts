// What a comparison comes to, as plain data: what `--json` writes, and all that tables, pages and comparisons are
// made from. docs/bench.md describes it for readers of the file.

/** Changes when a reader of the older form would misread the newer one. */
export const schema = 'mpserve-bench/1';

export interface Results {
  readonly schema: typeof schema;
  /** When it began (ISO 8601). */
  readonly at: string;
  readonly machine: Machine;
  /** Of mpserve. */
  readonly version: string;
  /** In words: a path, or `the built-in demo app`. */
  readonly app: string;
  readonly settings: {
    readonly rounds: number;
    readonly durationMs: number;
    /** Requests a second of an open loop; absent in a closed one. */
    readonly rate?: number;
  };
  readonly contenders: readonly Contender[];
  readonly scenarios: readonly ScenarioFacts[];
  readonly cells: readonly Cell[];
  /** What a reader should know before he believes the figures, in sentences. */
  readonly warnings: readonly string[];
  /** It was stopped before it was through. */
  readonly interrupted: boolean;
}

export interface Machine {
  /** `v20.20.2`. */
  readonly node: string;
  /** `Linux 6.18.44`. */
  readonly os: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
}

export interface Contender {
  /** `prefork`; among other servers, `nginx`. */
  readonly name: string;
  /** How it can be started by hand. */
  readonly command: string;
  /** Workers × threads as it was run, in words: `2 × 1`; empty where that means nothing. */
  readonly size: string;
  /** Milliseconds from its start until it could serve, one for each start. */
  readonly bootMs: readonly number[];
  /** Why there are no figures of it, in one line. */
  readonly failure?: string;
}

export interface ScenarioFacts {
  readonly name: string;
  /** What happens in it, in one sentence. */
  readonly summary: string;
}

/** One contender in one scenario with one number of connections. */
export interface Cell {
  readonly contender: string;
  readonly scenario: string;
  readonly connections: number;
  readonly rounds: readonly Round[];
}

/** One measurement. What could not be measured is absent. */
export interface Round {
  /** Answered, well or badly. */
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly latencyMs?: Latency;
  readonly errors: Errors;
  /** User and system time of the whole process tree for each answered request. */
  readonly cpuMicrosPerRequest?: number;
  /** The highest proportional set size of the process tree that was seen. */
  readonly peakMemoryBytes?: number;
  /** What a connection adds to it. */
  readonly memoryPerConnectionBytes?: number;
  /** Connections that were served at the same time, where that is the question. */
  readonly connectionsHeld?: number;
  /** The largest share of the work that a worker or thread had, over a fair share; 1 is perfectly fair. */
  readonly unfairness?: number;
  /** How busy the load generator's event loop was, 0 to 1; near 1 it, and not the server, set the pace. */
  readonly generatorUtilisation: number;
}

export interface Latency {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** For a drawing: latency in milliseconds at each of the percentiles of `distribution`. */
  readonly distribution: readonly number[];
}

/** The percentiles of `Latency.distribution`. */
export const distribution = [0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99, 100] as const;

export interface Errors {
  /** The connection was refused, reset or closed before the answer was complete. */
  readonly connection: number;
  readonly timeout: number;
  /** Answered, but not with a 2xx or 3xx status. */
  readonly status: number;
}
