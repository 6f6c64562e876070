// Round robin: each candidate in turn, by id and generation.
import type { Balancer, Candidate } from './balancer.js';

export function roundRobin(): Balancer {
  let last: Turn = { id: -1, generation: -1 };
  return (candidates) => {
    // Not by position: candidates come and go between two connections.
    const next = lowest(candidates.filter((one) => compare(one, last) > 0)) ?? lowest(candidates);
    last = next ?? last;
    return next;
  };
}

type Turn = Pick<Candidate, 'id' | 'generation'>;

function compare(a: Turn, b: Turn): number {
  return a.id - b.id || a.generation - b.generation;
}

function lowest<C extends Turn>(candidates: readonly C[]): C | undefined {
  return candidates.length > 0 ? candidates.reduce((low, one) => (compare(one, low) < 0 ? one : low)) : undefined;
}
