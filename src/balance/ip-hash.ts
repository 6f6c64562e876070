// The same candidate for each connection of a client, by its IP address. Rendezvous hashing: when a candidate is added to
// n others, it gets one client of n + 1, and no client moves between the others.
import { hash } from '../hash.js';
import type { Balancer } from './balancer.js';
import { roundRobin } from './round-robin.js';

export function ipHash(): Balancer {
  const inTurn = roundRobin();
  return (candidates, arrival) => {
    const { client } = arrival;
    if (typeof client === 'string') return inTurn(candidates, arrival);
    let best = -1;
    let chosen: number | undefined;
    for (const { id } of candidates) {
      const score = hash(`${client.host} ${id}`);
      if (score > best) [best, chosen] = [score, id];
    }
    // A worker on trial has the id of another one.
    return inTurn(
      candidates.filter(({ id }) => id === chosen),
      arrival,
    );
  };
}
