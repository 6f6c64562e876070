// What a concurrency model is to the supervisor. Which classes and rows there are stands in `index.ts` alone.
import type { Config } from '../config/config.js';
import type { ModelFacts } from '../config/model.js';
import type { Events } from '../events.js';
import type { WorkerSettings } from '../process/settings.js';
import type { SpawnOptions } from '../process/spawn.js';

export interface Strategy {
  /** Settles when a request can be served. @throws StartupError; nothing is left running then. */
  start(): Promise<void>;
  /** Stops accepting, finishes what is in flight, and ends it by force after `ms` milliseconds. Always settles. */
  drain(ms: number): Promise<void>;
  /** Ends everything now; a `drain` under way then settles. */
  kill(): void;
  snapshot(): StrategySnapshot;
}

export interface StrategySnapshot {
  /** Requests served so far; what a worker served in the second before it was killed may be missing. */
  readonly served: number;
}

export interface StrategyContext {
  readonly config: Config;
  readonly events: Events;
  /** Descriptors of the listening sockets, which stay open for as long as the supervisor lives. */
  readonly listen: readonly number[];
  readonly spawn: SpawnOptions;
}

/** Where connections are placed: who accepts them, and what a worker process does with one. Data, not code. */
export type Placement = Pick<WorkerSettings, 'executor' | 'threadAccept' | 'threads'> & {
  /** Who accepts: the worker processes themselves, or the supervisor, which gives each connection to one of them. */
  readonly acceptedBy: 'workers' | 'supervisor';
};

/** A row of the table of models. */
export interface Model extends ModelFacts {
  placement(config: Config): Placement;
  readonly strategy: new (context: StrategyContext, placement: Placement) => Strategy;
}
