// The memory that all event loops of a server share: its layout, and what the supervisor makes of it.
import { expect, test } from 'vitest';
import { memoryBytes, rangeOf } from '../../src/memory/parts.ts';
import { placesBytes } from '../../src/overload/layout.ts';

const names = ['hashKey', 'places'] as const;

test('the parts lie one after another, each on cache lines of its own', () => {
  let end = 0;
  for (const name of names) {
    const { start, bytes } = rangeOf(name);
    expect(start % 64, name).toBe(0);
    expect(start, name).toBeGreaterThanOrEqual(end);
    end = start + bytes;
  }
  expect(memoryBytes).toBeGreaterThanOrEqual(end);
});

test('a part has the bytes that its users expect', () => {
  expect(rangeOf('places').bytes).toBe(placesBytes);
});
