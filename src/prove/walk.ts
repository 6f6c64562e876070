// Ways through the models for a server that is switched from each to others. Knows no model by name.

/** From `start` to each of the others and back: 2 (n - 1) steps. Begins and ends with `start`. */
export function star(start: string, others: readonly string[]): readonly string[] {
  return [start, ...others.flatMap((other) => [other, start])];
}

/**
 * Every ordered pair once: n (n - 1) steps. It is an Eulerian circuit of the complete digraph (Hierholzer): walk on
 * while there is a step that was not taken; where there is none, the way back is a part of the circuit.
 */
export function circuit(start: string, others: readonly string[]): readonly string[] {
  const nodes = [start, ...others];
  const untaken = new Map(nodes.map((from) => [from, nodes.filter((to) => to !== from)]));
  const way = [start];
  const found: string[] = [];
  for (let here = way.at(-1); here !== undefined; here = way.at(-1)) {
    const next = untaken.get(here)?.pop();
    if (next !== undefined) way.push(next);
    else {
      found.push(here);
      way.pop();
    }
  }
  return found.reverse();
}
