// The sequences of models through which the trial `switch` switches a server.
import { expect, test } from 'vitest';
import { circuit, star } from '../../src/prove/walk.ts';

const steps = (walk: readonly string[]) => walk.slice(1).map((to, i) => `${walk[i]}${to}`);

test.each([2, 3, 4, 5, 6])('a circuit of %i models contains every ordered pair once', (count) => {
  const nodes = [...'abcdef'].slice(0, count);
  for (const start of nodes) {
    const others = nodes.filter((node) => node !== start);
    const walk = circuit(start, others);
    const all = nodes.flatMap((from) => nodes.filter((to) => to !== from).map((to) => `${from}${to}`));
    expect(steps(walk).sort()).toEqual(all.sort());
    expect([walk[0], walk.at(-1)]).toEqual([start, start]);
  }
});

test('a star goes to each other model and back', () => {
  expect(star('a', ['b', 'c'])).toEqual(['a', 'b', 'a', 'c', 'a']);
});

test('with a single model there is no step', () => {
  expect(circuit('a', [])).toEqual(['a']);
  expect(star('a', [])).toEqual(['a']);
});
