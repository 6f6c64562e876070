// What the configuration knows about a concurrency model: its name, its defaults, and which options have an effect in
// it. Each strategy in `strategies/` declares the facts of its models.

export type Accept = 'shared' | 'dispatch' | 'reuseport';

/** What a worker serves. */
export type UnitOfWork = 'connection' | 'request';

export interface ModelFacts {
  readonly name: string;
  /** One line, for `--help`. */
  readonly summary: string;
  /** The accept modes that the model offers, its default first; empty if there is no choice (ppc, tpc). */
  readonly accept: readonly Accept[];
  /** Whether a policy of `--balance` places connections in this accept mode; absent if in none. */
  readonly balances?: (accept: Accept | undefined) => boolean;
  /** Whether one host places all connections in this accept mode, so that sessions can be kept together; absent if in none. */
  readonly keepsSessions?: (accept: Accept | undefined) => boolean;
  /** Number of worker processes for `--workers auto`; undefined if `--workers` has no effect. */
  readonly workers?: (cores: number) => number;
  /** Number of threads in each worker process for `--threads auto`; undefined if `--threads` has no effect. */
  readonly threads?: (cores: number) => number;
  /** Threads serve the connections. */
  readonly threaded?: true;
  /** `--unit` chooses what a thread serves. */
  readonly units?: true;
  /** A worker serves one connection and then exits. */
  readonly once?: true;
  /** Workers or threads can be started before a connection needs them. */
  readonly spares?: true;
  /** Default value of `--max-connections`. */
  readonly maxConnections: number;
}
