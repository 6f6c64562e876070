// Whom to let go when it is crowded: those whose clients have kept the server waiting longest.

/** A client is given this long before it counts as slow (milliseconds). */
const patience = 1000;

/** At once an eighth of all goes, at least one, at most so many. */
const most = 32;

/**
 * @param all each with the milliseconds for which its client has kept it waiting, -1 while it is the app's turn
 * @returns those to let go now, the slowest first; none while nobody is slow enough
 */
export function slowestFirst<T>(all: readonly (readonly [T, number])[]): T[] {
  const slow = all.filter(([, idle]) => idle >= patience).sort(([, a], [, b]) => b - a);
  return slow.slice(0, Math.max(1, Math.min(most, Math.floor(all.length / 8)))).map(([one]) => one);
}
