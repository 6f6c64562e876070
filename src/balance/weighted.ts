// Weighted round robin, smooth as in nginx: with the weights 3 and 1 the turns are 1, 1, 2, 1, and not 1, 1, 1, 2.
import type { Balancer, Candidate } from './balancer.js';

/** @param weights of the ids 1, 2 and so on; other ids have 1 */
export function weighted(weights: readonly number[]): Balancer {
  /** How much each candidate has waited for its turn. */
  let credits = new Map<string, number>();
  return (candidates) => {
    const next = new Map<string, number>();
    let total = 0;
    let best: (typeof candidates)[number] | undefined;
    for (const one of candidates) {
      const weight = weights[one.id - 1] ?? 1;
      total += weight;
      next.set(keyOf(one), (credits.get(keyOf(one)) ?? 0) + weight);
      if (!best || creditOf(next, one) > creditOf(next, best)) best = one;
    }
    if (best) next.set(keyOf(best), creditOf(next, best) - total);
    credits = next; // without the candidates that have gone
    return best;
  };
}

function keyOf({ id, generation }: Candidate): string {
  return `${id} ${generation}`;
}

function creditOf(credits: ReadonlyMap<string, number>, one: Candidate): number {
  return credits.get(keyOf(one)) ?? 0;
}
