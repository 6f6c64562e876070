// The trials of prove as its help and its manual list them.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { proveTable } from '../../src/config/prove-options.ts';
import { type Variant, variantOf } from '../../src/config/variant.ts';
import { trials } from '../../src/prove/trials/index.ts';
import { nextSize, switching } from '../../src/prove/trials/operations.ts';
import { models } from '../../src/strategies/models.ts';

const names = trials.map(({ name }) => name);

test('the help lists each trial, in the order in which they run', () => {
  expect(proveTable.trials.description).toContain(`run: ${names.join(', ')} (`);
});

test('the manual has a row for each', () => {
  const manual = readFileSync(new URL('../../docs/prove.md', import.meta.url), 'utf8');
  expect([...manual.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, name]) => name)).toEqual(names);
});

test.each<[wanted: number, range: readonly [number, number] | undefined, sizes: readonly number[]]>([
  [1, undefined, [2, 1, 2, 1]],
  [3, undefined, [4, 3, 4, 3]],
  [3, [3, 3], [4, 3, 4, 3]], // the number of threads scales
  [2, [1, 4], [3, 2, 3, 2]],
  [2, [1, 2], [1, 2, 1, 2]],
  [1, [1, 2], [2, 1, 2, 1]],
])('from %i workers, of which auto-scaling allows %j, the trial scale goes to %j', (wanted, range, sizes) => {
  let size = wanted;
  const seen = sizes.map((_, i) => {
    const status = {
      workers: { wanted: size, ready: size },
      ...(range && { range: { workers: range, threads: range } }),
    };
    size = nextSize(status, i % 2 === 0);
    return size;
  });
  expect(seen).toEqual(sizes);
});

test('the trial switch is skipped where the settings allow no other model', () => {
  const { prefork } = models;
  if (!prefork) throw new Error('no model prefork');
  const options = { reloads: 1, scalings: 1, upgrades: 1, switches: 'some' } as const;
  const reason = (otherVariants: readonly Variant[]) =>
    switching.skipReason?.({ facts: prefork, otherVariants, options });
  expect(reason([])).toBe('the settings allow no other model');
  expect(reason([variantOf('prethread', 'request')])).toBeUndefined();
});
