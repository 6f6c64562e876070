// The balancer of each policy: the only list of them.
import type { Balancer } from './balancer.js';
import { firstIdle } from './first-idle.js';
import { ipHash } from './ip-hash.js';
import { lag } from './lag.js';
import { leastConnections } from './least-connections.js';
import type { Placing, Policy } from './policy.js';
import { randomTwo } from './random-two.js';
import { roundRobin } from './round-robin.js';
import { weighted } from './weighted.js';

const factories: Readonly<Record<Policy, (weights: readonly number[]) => Balancer>> = {
  'round-robin': roundRobin,
  weighted,
  'least-connections': leastConnections,
  'random-two': () => randomTwo(),
  'ip-hash': ipHash,
  lag,
  'first-idle': firstIdle,
};

export function createBalancer({ balance, weights }: Placing): Balancer {
  return factories[balance](weights);
}
