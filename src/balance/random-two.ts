// The one with fewer connections of two random candidates: nearly as even as `least-connections`, and several hosts that
// do not know of each other do not all pick the same candidate.
import type { Balancer } from './balancer.js';

/** @param random from 0 to less than 1 */
export function randomTwo(random = Math.random): Balancer {
  return (candidates) => {
    const first = Math.floor(random() * candidates.length);
    // Another one: of those after the first, and around the end.
    const second = (first + 1 + Math.floor(random() * (candidates.length - 1))) % candidates.length;
    const [one, other] = [candidates[first], candidates[second]];
    return one && other && other.active < one.active ? other : one;
  };
}
