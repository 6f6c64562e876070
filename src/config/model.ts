// What configuration needs to know of a concurrency model: its name, its defaults and which options it reads.
// The rows themselves stand in `strategies/`, one beside each strategy.

export type Accept = 'shared' | 'dispatch';

export interface ModelFacts {
  readonly name: string;
  /** One line for `--help`. */
  readonly summary: string;
  /** The modes of accepting that it offers, its default first; empty where there is no choice (ppc, tpc). */
  readonly accept: readonly Accept[];
  /** Worker processes for `--workers auto`; undefined where `--workers` does nothing. */
  readonly workers?: (cores: number) => number;
  /** Threads in each worker process for `--threads auto`; undefined where `--threads` does nothing. */
  readonly threads?: (cores: number) => number;
  /** Connections are served by threads. */
  readonly threaded?: true;
  /** A worker lives for one connection and no longer. */
  readonly once?: true;
  /** Workers or threads can be started before there are connections for them. */
  readonly spares?: true;
  /** Default of `--max-connections`. */
  readonly maxConnections: number;
}
