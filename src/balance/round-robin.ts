// Round robin: each candidate in turn, by id.
import type { Balancer, Candidate } from './balancer.js';

export function roundRobin(): Balancer {
  let last = -1;
  return (candidates) => {
    // Not by position: candidates come and go between two connections.
    const next = lowestAbove(last, candidates) ?? lowestAbove(-1, candidates);
    last = next?.id ?? last;
    return next;
  };
}

function lowestAbove<C extends Candidate>(id: number, candidates: readonly C[]): C | undefined {
  let lowest: C | undefined;
  for (const candidate of candidates) {
    if (candidate.id > id && (!lowest || candidate.id < lowest.id)) lowest = candidate;
  }
  return lowest;
}
