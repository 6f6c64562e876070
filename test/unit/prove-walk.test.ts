// The ways through the models on which a proof switches a server.
import { expect, test } from 'vitest';
import { circuit, star } from '../../src/prove/walk.ts';

const steps = (way: readonly string[]) => way.slice(1).map((to, i) => `${way[i]}${to}`);

test.each([2, 3, 4, 5, 6])('a circuit of %i takes each step from one to another once', (count) => {
  const nodes = [...'abcdef'].slice(0, count);
  for (const start of nodes) {
    const others = nodes.filter((node) => node !== start);
    const way = circuit(start, others);
    const all = nodes.flatMap((from) => nodes.filter((to) => to !== from).map((to) => `${from}${to}`));
    expect(steps(way).sort()).toEqual(all.sort());
    expect([way[0], way.at(-1)]).toEqual([start, start]);
  }
});

test('a star goes to each of the others and back', () => {
  expect(star('a', ['b', 'c'])).toEqual(['a', 'b', 'a', 'c', 'a']);
});

test('who is alone goes nowhere', () => {
  expect(circuit('a', [])).toEqual(['a']);
  expect(star('a', [])).toEqual(['a']);
});
