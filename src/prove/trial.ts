// What is done to a server while clients ask it.
import type { ModelFacts } from '../config/model.js';
import type { Crowd } from './client-pool.js';
import type { Job } from './messages.js';
import type { Server, Settings } from './server.js';

export interface Trial {
  readonly name: string;
  /** What happens in it, in one sentence. */
  readonly summary: string;
  /** Why it cannot be done, completing "left out: …"; undefined where it can. */
  excuse?(stage: Pick<Stage, 'facts' | 'counts'>): string | undefined;
  /** What the server needs for it, besides what the user has set. */
  settings?(stage: Pick<Stage, 'given' | 'rate'>): Settings;
  /** Settles when it is done and the server has come to rest. @throws Error in a sentence when it has not come true */
  run(stage: Stage): Promise<Done>;
}

export interface Done {
  /** How often it was done. */
  readonly times: number;
  /** So many connections break of necessity: they were on the process or thread that ended. */
  readonly broken?: number;
}

export interface Stage {
  readonly server: Server;
  readonly crowd: Crowd;
  readonly facts: ModelFacts;
  /** The names of all others. */
  readonly others: readonly string[];
  readonly counts: Counts;
  /** What the user has set. */
  readonly given: Settings;
  /** Requests a second of all clients, about. */
  readonly rate: number;
  /** What the clients do. */
  readonly job: Job;
  /** Known to the server's workers and nobody else. */
  readonly secret: string;
  /** Workers may take so long to finish (milliseconds). */
  readonly gracefulMs: number;
  /** @throws when everything is to be stopped */
  pause(ms: number): Promise<void>;
}

/** How often what is done. */
export interface Counts {
  readonly reloads: number;
  readonly scalings: number;
  readonly upgrades: number;
  readonly switches: 'some' | 'all' | 'none';
}

/** Between one and the next, so that it is not the machine that is put to the proof (milliseconds). */
export const breath = 200;
/** What a drain takes on top of its time (milliseconds). */
const restMs = 10_000;

/** The server has come to rest, which includes that what drained is gone. @throws Error */
export function atRest({ server, gracefulMs }: Pick<Stage, 'server' | 'gracefulMs'>): Promise<void> {
  return server.settled(gracefulMs + restMs);
}

/** All connections are in one process. */
export function isOneProcess(facts: ModelFacts): boolean {
  return !facts.once && !facts.workers;
}
