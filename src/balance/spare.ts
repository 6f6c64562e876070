// Spares: processes or threads of which each has loaded the app and waits for one connection.
import { availableParallelism } from 'node:os';

/** Kept while connections come over the relay: so many can start at once without taking the processors from all others. */
export const keptForOthers = Math.max(1, Math.floor(availableParallelism() / 2));

/** And so many when there is little time left. */
export const keptInHaste = 2 * keptForOthers;

/** The first of `spares` that `isReady`, or else the one that has been starting for longest; undefined without any. */
export function readiest<S>(spares: Iterable<S>, isReady: (spare: S) => boolean): S | undefined {
  const all = [...spares];
  return all.find(isReady) ?? all[0];
}
