// Which of several servers of an app is the app's.
import { expect, test } from 'vitest';
import { isCertain, isPreferred, mayServe, type ServeRule } from '../../src/app/serve-rule.ts';

const on = (port: number | undefined, hasOurPort = false) => ({ port, hasOurPort });

test.each<[ServeRule, string, ReturnType<typeof on>, ReturnType<typeof on>, boolean]>([
  ['auto', 'a lower port', on(3000), on(9464), true],
  ['auto', 'a higher port', on(9464), on(3000), false],
  ['auto', 'the port of PORT', on(9464, true), on(3000), true],
  ['auto', 'a port instead of a path', on(9464), on(undefined), true],
  ['auto', 'a path instead of any port', on(undefined), on(0), true],
  ['auto', 'another one on any port', on(0), on(0), false],
  ['last', 'a higher port', on(9464), on(3000), true],
  ['first', 'a lower port', on(3000), on(9464), false],
  [9464, 'a lower port', on(3000), on(9464), false],
])('by %s, %s', (rule, _, next, current, expected) => {
  expect(isPreferred(rule, next, current)).toBe(expected);
});

test('only the port of the rule is served, and first and a port are certain at once', () => {
  expect(mayServe(80, on(81))).toBe(false);
  expect(mayServe('auto', on(0))).toBe(true);
  expect([isCertain('first', on(0)), isCertain(80, on(80)), isCertain('auto', on(80, true))]).toEqual([
    true,
    true,
    true,
  ]);
  expect([isCertain('last', on(80, true)), isCertain('auto', on(80))]).toEqual([false, false]);
});
