// Each in turn.
import type { Balancer } from './balancer.js';

export function roundRobin(): Balancer {
  let last = -1;
  return (candidates) => {
    // By id and not by position: candidates come and go between two turns.
    const next = candidates.find(({ id }) => id > last) ?? candidates[0];
    last = next?.id ?? last;
    return next;
  };
}
