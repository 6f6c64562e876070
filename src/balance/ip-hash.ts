// The same candidate for each connection of a client, by its IP address. Rendezvous hashing: when a candidate is added to
// n others, it gets one client of n + 1, and no client moves between the others.
import type { Balancer } from './balancer.js';
import { roundRobin } from './round-robin.js';

export function ipHash(): Balancer {
  const inTurn = roundRobin();
  return (candidates, arrival) => {
    const { client } = arrival;
    if (client === undefined) return inTurn(candidates, arrival);
    let best = -1;
    let chosen: number | undefined;
    for (const { id } of candidates) {
      const score = hash(`${client} ${id}`);
      if (score > best) [best, chosen] = [score, id];
    }
    // A worker on trial has the id of another one.
    return inTurn(
      candidates.filter(({ id }) => id === chosen),
      arrival,
    );
  };
}

/** FNV-1a, with the last step of MurmurHash3, so that each bit of the text changes half of the bits. @returns 32 bits */
function hash(text: string): number {
  let bits = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) bits = Math.imul(bits ^ text.charCodeAt(i), 0x01000193);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
