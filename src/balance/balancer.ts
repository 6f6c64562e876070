// Places a connection: picks one of the candidates that would take it. Keeps no connection and asks nobody.

export interface Candidate {
  readonly id: number;
  /** Connections that it has now. */
  readonly active: number;
}

/** @returns one of `candidates`, or undefined when there is none. */
export type Balancer = <C extends Candidate>(candidates: readonly C[]) => C | undefined;
