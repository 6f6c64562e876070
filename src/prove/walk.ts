// Sequences of models, or of their variants, for the trial `switch`. Knows none by name.

/** From `start` to each other model and back: 2 (n - 1) steps. Starts and ends with `start`. */
export function star<T>(start: T, others: readonly T[]): readonly T[] {
  return [start, ...others.flatMap((other) => [other, start])];
}

/** Every ordered pair of models once: n (n - 1) steps. Starts and ends with `start`. */
export function circuit<T>(start: T, [next, ...others]: readonly T[]): readonly T[] {
  return next === undefined ? [start] : [start, ...circuit(next, others), ...star(start, others)];
}
