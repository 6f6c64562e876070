// The trials of prove as its help and its manual list them.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { proveTable } from '../../src/config/prove-options.ts';
import { trials } from '../../src/prove/trials/index.ts';

const names = trials.map(({ name }) => name);

test('the help lists each trial, in the order in which they run', () => {
  expect(proveTable.trials.description).toContain(`run: ${names.join(', ')} (`);
});

test('the manual has a row for each', () => {
  const manual = readFileSync(new URL('../../docs/prove.md', import.meta.url), 'utf8');
  expect([...manual.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, name]) => name)).toEqual(names);
});
