// The candidate with the fewest connections; of several, each in turn.
import type { Balancer } from './balancer.js';
import { roundRobin } from './round-robin.js';

export function leastConnections(): Balancer {
  const inTurn = roundRobin();
  return (candidates, arrival) => {
    const least = Math.min(...candidates.map(({ active }) => active));
    return inTurn(
      candidates.filter(({ active }) => active === least),
      arrival,
    );
  };
}
