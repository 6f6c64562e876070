// What a strategy is to the supervisor: of the server as a whole, whose model can be switched.
import type { Group } from '../worker/settings.js';
import type { Hosting, OnProgress, Strategy } from './strategy.js';
import type { Trial } from './trial.js';

/** What the strategy of some of the workers is made from. */
export interface Part {
  readonly group: Group;
  readonly hosting: Hosting;
}

export interface ServerParts extends Part {
  /** Each with the workers of its requests, in the order of the configuration. */
  readonly routes: readonly (Part & { readonly match: string })[];
}

export interface ServerStrategy extends Strategy {
  /** As `Strategy` has it. @param next of the same routes */
  replaceParts(next: ServerParts, onProgress: OnProgress, trial?: Trial): Promise<void>;
  replace(group: Group, hosting: Hosting, ms: number, trial?: Trial): Promise<Replacement>;
}

export interface Replacement {
  /** Settles when the strategy before has ended, or after some seconds. */
  readonly settled: Promise<void>;
}
