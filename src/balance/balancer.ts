// Picks the worker or thread for a connection. A policy sees only the candidates and the connection.
import type { Peer } from '../client/peer.js';

export interface Candidate {
  readonly id: number;
  /** Two candidates may have the same id, in different generations, while a new generation is on trial. */
  readonly generation: number;
  /** Connections that it serves. */
  readonly active: number;
  /** It has not acknowledged earlier connections in time. */
  readonly isUnresponsive: boolean;
  /** Its event loop runs code, or has connections that it has not come to. Looks each time, for some microseconds. */
  readonly isBusy: boolean;
  /** Milliseconds that it has been seen to be busy without a break. */
  readonly lagMs: number;
  /** The part of the time that it was found busy lately, from 0 to 1. */
  readonly utilization: number;
}

/** What a policy may ask of a connection. */
export interface Arrival {
  /** Costs a call to the system. */
  readonly client: Peer;
}

/** @returns one of `candidates`; undefined if there are none, or the connection is to wait until one of them has room */
export type Balancer = <C extends Candidate>(candidates: readonly C[], arrival: Arrival) => C | undefined;

/** The responsive candidates, or all of them if none is responsive. */
export function responsive<C extends Candidate>(candidates: readonly C[]): readonly C[] {
  const chosen = candidates.filter(({ isUnresponsive }) => !isUnresponsive);
  return chosen.length > 0 ? chosen : candidates;
}
