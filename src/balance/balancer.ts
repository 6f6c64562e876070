// Places a connection: picks one of the candidates that would take it. Keeps no connection and asks nobody.

export interface Candidate {
  readonly id: number;
  /** Connections that it has now. */
  readonly active: number;
  /** It does not answer: what it was given before waits for it. */
  readonly isSilent: boolean;
}

/** @returns one of `candidates`, or undefined when there is none. */
export type Balancer = <C extends Candidate>(candidates: readonly C[]) => C | undefined;

/** Those that answer; all of them when none does, for then one is as good as the other. */
export function responsive<C extends Candidate>(candidates: readonly C[]): readonly C[] {
  const answering = candidates.filter(({ isSilent }) => !isSilent);
  return answering.length > 0 ? answering : candidates;
}
