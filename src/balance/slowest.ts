// Chooses the connections to shed when the server is near its limit: those whose clients have kept it waiting longest.

/** A client that keeps the server waiting for less is not slow. */
const minIdleMs = 1000;

/** At most this many are shed at once, and at most an eighth of all, but at least one. */
const maxShed = 32;

/**
 * @param all each with the milliseconds that the server has waited for its client, or -1 while the app is busy
 * @returns those to shed now, the slowest first; none if no client is slow
 */
export function slowestFirst<T>(all: readonly (readonly [T, number])[]): T[] {
  const slow = all.filter(([, idleMs]) => idleMs >= minIdleMs).sort(([, a], [, b]) => b - a);
  return slow.slice(0, Math.max(1, Math.min(maxShed, Math.floor(all.length / 8)))).map(([one]) => one);
}
