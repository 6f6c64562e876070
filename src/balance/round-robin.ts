// Each in turn.
import type { Balancer, Candidate } from './balancer.js';

export function roundRobin(): Balancer {
  let last = -1;
  return (candidates) => {
    // By id and not by position: candidates come and go between two turns.
    const next = lowestAbove(last, candidates) ?? lowestAbove(-1, candidates);
    last = next?.id ?? last;
    return next;
  };
}

function lowestAbove<C extends Candidate>(id: number, candidates: readonly C[]): C | undefined {
  let lowest: C | undefined;
  for (const one of candidates) if (one.id > id && (!lowest || one.id < lowest.id)) lowest = one;
  return lowest;
}
