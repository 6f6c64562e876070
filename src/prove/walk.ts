// Sequences of models for the trial `switch`. Knows no model by name.

/** From `start` to each other model and back: 2 (n - 1) steps. Starts and ends with `start`. */
export function star(start: string, others: readonly string[]): readonly string[] {
  return [start, ...others.flatMap((other) => [other, start])];
}

/** Every ordered pair of models once: n (n - 1) steps. Starts and ends with `start`. */
export function circuit(start: string, [next, ...others]: readonly string[]): readonly string[] {
  return next === undefined ? [start] : [start, ...circuit(next, others), ...star(start, others)];
}
