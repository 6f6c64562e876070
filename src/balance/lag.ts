// The candidate whose event loop waits for work; of several the one that has been busy least, then the one with the fewest
// connections. While all are busy a connection waits a moment, until it shows which of them are blocked. Then one that serves
// no connection is the best: no request blocks it, and its lag may be as long as nobody has looked at it.
import type { Balancer, Candidate } from './balancer.js';
import { roundRobin } from './round-robin.js';

/** An event loop that has been busy for less may be free in a moment (milliseconds). */
const momentMs = 10;

export function lag(): Balancer {
  const inTurn = roundRobin();
  return (candidates, arrival) => {
    let rest = candidates;
    while (rest.length > 0) {
      const ranks = rest.map(rankOf);
      const best = Math.min(...ranks);
      const next = inTurn(
        rest.filter((_, i) => ranks[i] === best),
        arrival,
      );
      if (next && !next.isBusy) return next;
      rest = rest.filter((one) => one !== next);
    }
    const unused = candidates.filter(({ active }) => active === 0);
    return shortestLag(unused.length > 0 ? unused : candidates);
  };
}

/** undefined when there is none, or it may be free in a moment. */
function shortestLag<C extends Candidate>(candidates: readonly C[]): C | undefined {
  const lags = candidates.map(({ lagMs }) => lagMs);
  const shortest = Math.min(...lags);
  return shortest < momentMs ? undefined : candidates[lags.indexOf(shortest)];
}

/** By tenths of the time, then by connections. */
function rankOf({ utilization, active }: Candidate): number {
  return Math.round(utilization * 10) * 2 ** 32 + active;
}
