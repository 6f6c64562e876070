// The candidate whose event loop waits for work; of several the one that has been busy least, then the one with the fewest
// connections. While all are busy a connection waits a moment, until it shows which of them are blocked. Then one that serves
// no connection is the best, as no request blocks it; else the one that has been seen to be busy for the shortest time.
import type { Balancer, Candidate } from './balancer.js';
import { roundRobin } from './round-robin.js';

/** An event loop that has been busy for less may be free in a moment (milliseconds). */
const momentMs = 10;

/** How long a connection waits at most for a sign of which event loop is blocked and which one only slow (milliseconds). */
const patienceMs = 100;

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
    return leastBlocked(candidates);
  };
}

/** Of those that are all busy. undefined when there is none, or a connection had better wait. */
function leastBlocked<C extends Candidate>(candidates: readonly C[]): C | undefined {
  const unused = candidates.filter(({ active }) => active === 0);
  const best = unused.length > 0 ? unused : candidates;
  const lags = best.map(({ lagMs }) => lagMs);
  const shortest = Math.min(...lags);
  const isTold = unused.length > 0 || lags.length === 1 || Math.max(...lags) - shortest >= momentMs;
  return shortest < (isTold ? momentMs : patienceMs) ? undefined : best[lags.indexOf(shortest)];
}

/** By tenths of the time, then by connections. */
function rankOf({ utilization, active }: Candidate): number {
  return Math.round(utilization * 10) * 2 ** 32 + active;
}
