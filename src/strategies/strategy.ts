// What a concurrency model is to the supervisor. Which rows there are stands in `index.ts` alone, which classes in `create.ts`.
import type { Config } from '../config/config.js';
import type { ModelFacts } from '../config/model.js';
import type { Events } from '../events.js';
import type { SpawnOptions } from '../worker/process-runtime.js';
import type { WorkerSettings } from '../worker/settings.js';
import type { WorkerHandle } from '../worker/worker.js';

export interface Strategy {
  /** Settles when a request can be served. @throws StartupError; nothing is left running then. */
  start(): Promise<void>;
  /**
   * Stops accepting, finishes what is in flight, and ends it by force after `ms` milliseconds. Always settles.
   * @param carries its connections go over the migration channel to another; told a second time without, those that it has stay
   */
  drain(ms: number, carries?: boolean): Promise<void>;
  /** From now on connections are not given to others, be it another strategy or another worker of this one. */
  stay(): void;
  /** Connections of another are about to come over the migration channel, or no longer. */
  expect(isExpecting: boolean): void;
  /** Ends everything now; a `drain` under way then settles. */
  kill(): void;
  /**
   * Serves as `context` says from now on: a new generation is ready before the old one is drained, so that there is
   * never less than before. One call at a time, together with `scale`.
   * @param trial of the new generation, while it serves beside the old one
   * @throws StartupError when the new generation cannot be ready, or what the trial has thrown; unless some of it was
   * in the place of the old one, nothing has changed
   */
  reload(context: StrategyContext, onProgress: OnProgress, trial?: Trial): Promise<void>;
  /**
   * Makes it so many worker processes, 0 or more; with 0 connections wait in the kernel. A model whose workers are
   * not counted can only be told 0 (nobody is served) and 1 (all are). @throws StartupError when one cannot be ready
   */
  scale(workers: number): Promise<void>;
  /**
   * Has the workers open the file of their access log anew. Settles when all have been asked and have answered, or have
   * ended. @throws Error of the first that could not; the others have
   */
  reopen(path: string): Promise<void>;
  snapshot(): StrategySnapshot;
}

/** Settles when a new generation has passed it. @throws Error that says why it has not */
export type Trial = () => Promise<void>;

/** How far a reload is: so many of so many workers have been replaced. */
export type OnProgress = (done: number, all: number) => void;

export interface StrategySnapshot {
  /** Requests served so far; what a worker served in the second before it was killed may be missing. */
  readonly served: number;
  readonly generation: number;
  /** How many workers are kept; 0 when it is drained, 1 where they are not counted. */
  readonly size: number;
  /** All that live. */
  readonly workers: readonly WorkerSnapshot[];
}

export type WorkerSnapshot = Pick<WorkerHandle, 'id' | 'pid' | 'generation' | 'stage' | 'served' | 'readyMs' | 'load'>;

export interface StrategyContext {
  readonly config: Config;
  readonly events: Events;
  /** Descriptors of the listening sockets, which stay open for as long as the supervisor lives. */
  readonly listen: readonly number[];
  readonly spawn: SpawnOptions;
  /** Of its first workers. */
  readonly generation: number;
}

/** Where connections are placed: who accepts them, and what a worker process does with one. Data, not code. */
export type Placement = Pick<WorkerSettings, 'executor' | 'threadAccept' | 'threads'> & {
  /** Who accepts: the worker processes themselves, or the supervisor, which gives each connection to one of them. */
  readonly acceptedBy: 'workers' | 'supervisor';
};

/** A row of the table of models. */
export interface Model extends ModelFacts {
  placement(config: Config): Placement;
  /** The name of the class behind it, which `create.ts` knows: who only asks what models there are loads none. */
  readonly strategy: 'ppc' | 'pooled';
}
