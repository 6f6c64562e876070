// Sequences of models for the trial `switch`. Knows no model by name.

/** From `start` to each other model and back: 2 (n - 1) steps. Starts and ends with `start`. */
export function star(start: string, others: readonly string[]): readonly string[] {
  return [start, ...others.flatMap((other) => [other, start])];
}

/**
 * Every ordered pair of models once: n (n - 1) steps. Starts and ends with `start`. An Eulerian circuit of the complete
 * digraph (Hierholzer's algorithm): follow unused edges to a dead end, then backtrack, adding each node to the circuit.
 */
export function circuit(start: string, others: readonly string[]): readonly string[] {
  const nodes = [start, ...others];
  const unused = new Map(nodes.map((from) => [from, nodes.filter((to) => to !== from)]));
  const path = [start];
  const reversed: string[] = [];
  for (let node = path.at(-1); node !== undefined; node = path.at(-1)) {
    const next = unused.get(node)?.pop();
    if (next !== undefined) path.push(next);
    else {
      reversed.push(node);
      path.pop();
    }
  }
  return reversed.reverse();
}
