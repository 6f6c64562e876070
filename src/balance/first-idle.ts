// A candidate whose event loop waits for work, each in turn. Without one a connection waits with the host.
import type { Balancer } from './balancer.js';
import { roundRobin } from './round-robin.js';

export function firstIdle(): Balancer {
  const inTurn = roundRobin();
  return (candidates, arrival) => {
    let rest = candidates;
    for (;;) {
      const next = inTurn(rest, arrival);
      if (!next?.isBusy) return next;
      rest = rest.filter((one) => one !== next);
    }
  };
}
