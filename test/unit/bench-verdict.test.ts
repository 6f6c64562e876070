// The verdict in words, the marks of the best, and the order of the targets, in the table and on the page.
import { describe, expect, test } from 'vitest';
import { page } from '../../src/bench/page.ts';
import type { Cell, Contender, Results, Round } from '../../src/bench/results.ts';
import { table } from '../../src/bench/table.ts';
import { bestFirst, headline, unmarkedReason, verdicts } from '../../src/bench/verdict.ts';
import { results as fixture } from '../fixtures/bench-results.ts';
import { latencyOf, roundOf } from './bench-round.ts';

type Rounds = readonly Partial<Round>[];

/** Rounds with these values of requests/s. */
const speeds = (...values: number[]): Rounds => values.map((requestsPerSecond) => ({ requestsPerSecond }));
const tails = (...values: number[]): Rounds => values.map((p99) => ({ latencyMs: latencyOf({ p99 }) }));
const failures = (...values: number[]): Rounds =>
  values.map((connection) => ({ requests: 1000 - connection, errors: { connection, timeout: 0, status: 0 } }));
const silent: Rounds = [1, 2, 3].map(() => ({ requests: 0, requestsPerSecond: 0 }));

/** @param targets of each scenario, the rounds of each target */
function resultsOf(scenarios: Readonly<Record<string, Readonly<Record<string, Rounds>>>>, rest: Partial<Results> = {}) {
  const cells = Object.entries(scenarios).flatMap(([scenario, targets]) =>
    Object.entries(targets).map(
      ([contender, rounds]): Cell => ({
        contender,
        scenario,
        connections: 4,
        rounds: rounds.map((one) => roundOf(one)),
      }),
    ),
  );
  const names = [...new Set(cells.map(({ contender }) => contender))];
  const contenders = names.map((name): Contender => ({ name, command: name, size: '1 × 1', bootMs: [100, 101] }));
  return {
    ...fixture,
    contenders,
    scenarios: Object.keys(scenarios).map((name) => ({ name, summary: `what ${name} is` })),
    cells,
    settings: { rounds: 3, durationMs: 1000 },
    warnings: [],
    interrupted: false,
    ...rest,
  } satisfies Results;
}

const failed: Contender = { name: 'd', command: 'd', size: '', bootMs: [], failure: 'it does not start' };

describe('the verdict on a scenario', () => {
  const cases: readonly (readonly [string, Readonly<Record<string, Rounds>>, finding: string, values: string])[] = [
    [
      'names the target with the most requests/s',
      { a: speeds(100, 101, 102), b: speeds(200, 201, 202) },
      'b has the most requests/s',
      'b 201, a 101',
    ],
    [
      'names a tie',
      { a: speeds(100, 101, 102), b: speeds(101, 102, 103), c: speeds(50, 51, 52) },
      'b and a tie for the most requests/s',
      'b 102, a 101, c 51.0',
    ],
    [
      'says that rounds spread too far',
      { a: speeds(100, 150, 200), b: speeds(120, 200, 210) },
      'the rounds spread too far to tell b and a apart by requests/s',
      'b 200, a 150',
    ],
    [
      'says that there is a single round',
      { a: speeds(100), b: speeds(200) },
      'requests/s, measured once',
      'b 200, a 100',
    ],
    ['has no winner if there is one target', { a: speeds(100, 101, 102) }, 'requests/s of a only', 'a 101'],
    [
      'is by latency if all serve as many requests',
      { a: tails(5, 5.1, 5.2), b: tails(9, 9.1, 9.2) },
      'a has the lowest latency p99 at equal requests/s',
      'a 5.10 ms, b 9.10 ms',
    ],
    [
      'is by failed requests if there are any',
      { a: failures(20, 21, 22), b: failures(0, 0, 0).map((one) => ({ ...one, requestsPerSecond: 1 })) },
      'b has the fewest failed requests',
      'b none, a 2.1 %',
    ],
    [
      'is not by a rare failure',
      { a: failures(0, 0, 0).map((one) => ({ ...one, requestsPerSecond: 10 })), b: failures(1, 0, 0) },
      'b has the most requests/s',
      'b 50.0, a 10.0',
    ],
    [
      'is by memory for idle connections',
      {
        a: [9000, 9100, 9200].map((memoryPerConnectionBytes) => ({ memoryPerConnectionBytes })),
        b: [5000, 5100, 5200].map((memoryPerConnectionBytes) => ({ memoryPerConnectionBytes })),
      },
      'b has the least memory per connection',
      'b 5.1 kB, a 9.1 kB',
    ],
    [
      'names a target that answered nothing',
      { a: silent, b: speeds(100, 101, 102), c: speeds(200, 201, 202) },
      'c has the most requests/s; a answered no request',
      'c 201, b 101',
    ],
    ['is that no target answered', { a: silent, b: silent }, 'a and b answered no request', ''],
  ];

  test.each(cases)('%s', (_, targets, finding, values) => {
    expect(verdicts(resultsOf({ own: targets }))).toMatchObject([{ scenario: 'own', finding, values }]);
  });

  test('names the latency where it is by failed requests, because a slow server may fail none', () => {
    const [a, b] = [failures(20, 21, 22), failures(0, 0, 0)].map((rounds, i) =>
      rounds.map((one) => ({ ...one, latencyMs: latencyOf({ p99: 10 + 1000 * i }) })),
    );
    const [verdict] = verdicts(resultsOf({ crash: { a: a ?? [], b: b ?? [] } }));
    expect(verdict?.values).toBe('b none, a 2.1 %; latency p99 b 1.01 s, a 10.0 ms');
  });

  test('is of those measured if a target is missing', () => {
    const results = resultsOf({ own: { a: speeds(100, 101, 102), b: speeds(200, 201, 202) } });
    const [verdict] = verdicts({ ...results, contenders: [...results.contenders, failed] });
    expect(verdict?.finding).toBe('of those measured, b has the most requests/s');
  });
});

const two = { a: speeds(100, 101, 102), b: speeds(200, 201, 202) };
const even = { a: speeds(100, 101, 102), b: speeds(100, 101, 103) };

test('the headline counts the scenarios that a target leads', () => {
  expect(headline(resultsOf({ x: two, y: two, z: even }))).toBe('b is best, or tied for it, in 3 of 3 scenarios');
  const partial = resultsOf({ x: two, y: two });
  expect(headline({ ...partial, contenders: [...partial.contenders, failed] })).toBe(
    'of those measured, b is best, or tied for it, in 2 of 2 scenarios',
  );
  expect(headline(resultsOf({ x: two }))).toBeUndefined();
  expect(headline(resultsOf({ x: { a: speeds(1), b: speeds(2) }, y: { a: speeds(1), b: speeds(2) } }))).toBeUndefined();
});

test('the targets are in the order of the verdict, and those that answered nothing are last', () => {
  const results = resultsOf({ x: { ...two, c: silent }, y: { ...two, c: speeds(300, 301, 302) } });
  expect(bestFirst(results, 'x')).toEqual([1, 0, 2]);
  expect(bestFirst(results, 'y')).toEqual([2, 1, 0]);
  expect(bestFirst(results)).toEqual([1, 2, 0]);
  expect(bestFirst({ ...results, contenders: [failed, ...results.contenders].reverse() }, 'x')).toEqual([1, 2, 0]);
});

describe('nothing is marked as best', () => {
  const results = resultsOf({ own: two });
  const interrupted = resultsOf({ own: { ...two, a: speeds(100, 101) } }, { interrupted: true });
  const cases: readonly (readonly [string, Results, RegExp | undefined])[] = [
    [
      'after a single round',
      resultsOf({ own: { a: speeds(100), b: speeds(200) } }, { settings: { rounds: 1, durationMs: 1000 } }),
      /^One round has no spread, so nothing is marked as best; use --rounds 3 or more$/,
    ],
    [
      'while a target is missing',
      { ...results, contenders: [...results.contenders, failed] },
      /^Nothing is marked as best where d is missing; to compare the others, use --models a,b$/,
    ],
    ['while a round is missing', interrupted, /^Nothing is marked as best where rounds are missing/],
  ];

  test.each(cases)('%s, and the reason is given', (_, given, reason) => {
    expect(unmarkedReason(given)).toMatch(reason ?? '');
    const text = table(given);
    expect(text).toContain(unmarkedReason(given));
    expect(text).not.toMatch(/ [*=]$|[*=] {2}/m);
    const [, glance = ''] = /<h2 id="glance">([\s\S]*?)<\/section>/.exec(page(given)) ?? [];
    expect(glance).toContain(unmarkedReason(given));
    const metrics = page(given).slice(page(given).indexOf('<h2 id="scenario-1">'));
    expect(glance + metrics).not.toMatch(/[★≈]|class="best"/);
  });

  test('or else it is', () => {
    expect(unmarkedReason(results)).toBeUndefined();
    expect(table(results)).toMatch(/^requests\/s, 4 conn\. +101 ±1% +201 \*$/m);
    expect(page(results)).toContain('<td class="best">');
  });
});

describe('a target that answered nothing', () => {
  const timeouts = silent.map((one) => ({ ...one, errors: { connection: 0, timeout: 4, status: 0 } }));
  const lighter = [...silent].map((one) => ({ ...one, peakMemoryBytes: 1e6 }));
  const results = resultsOf({
    own: { a: lighter, b: speeds(100, 101, 102).map((one) => ({ ...one, peakMemoryBytes: 9e6 })) },
  });

  test('says so instead of a number, and has no metric that could be the best', () => {
    expect(table(results)).toMatch(/^requests\/s, 4 conn\. +no answer +101 ±1%$/m);
    expect(table(results)).toMatch(/^errors, 4 conn\. +0$/m);
    expect(table(results)).toMatch(/^peak memory, 4 conn\. +9 MB$/m);
    expect(page(results)).toContain('no answer');
  });

  test('shows its errors if it has any', () => {
    expect(table(resultsOf({ own: { a: timeouts, b: speeds(1, 1, 1) } }))).toMatch(/^errors, 4 conn\. +4 +0 \*$/m);
  });

  test('says so as well if all are silent', () => {
    expect(table(resultsOf({ own: { a: silent, b: silent } }))).toMatch(
      /^requests\/s, 4 conn\. +no answer +no answer$/m,
    );
  });
});

describe('the first screen', () => {
  const results = resultsOf({ own: two, crash: { a: failures(20, 21, 22), b: failures(0, 0, 0) } });

  test('of the table has the verdict before all metrics', () => {
    const lines = table(results).split('\n');
    expect(lines.slice(3, 6)).toEqual([
      'In short: b is best, or tied for it, in 2 of 2 scenarios.',
      '  own: b has the most requests/s (b 201, a 101)',
      '  crash: b has the fewest failed requests (b none, a 2.1 %)',
    ]);
  });

  test('of the page has the verdict before all else', () => {
    const text = page(results);
    const [heading, short, facts] = ['<h1>', '<h2 id="short">In short', '<dl class="facts">'].map((one) =>
      text.indexOf(one),
    );
    expect(heading).toBeLessThan(short ?? 0);
    expect(short).toBeLessThan(facts ?? 0);
    expect(text).toContain('<strong>crash:</strong> b has the fewest failed requests <small>b none, a 2.1 %</small>');
  });

  test('of the page has the best target in the first column, and the errors of a scenario that has some', () => {
    const [, glance = ''] = /<h2 id="glance">([\s\S]*?)<\/section>/.exec(page(results)) ?? [];
    const head = [...glance.matchAll(/<th scope="col">(\w+)<\/th>/g)].map(([, name]) => name);
    expect(head).toEqual(['metric', 'b', 'a']);
    expect([...glance.matchAll(/<th scope="row">([^<]*)<\/th>/g)].map(([, name]) => name)).toEqual([
      ...['requests/s'],
      ...['errors', 'requests/s'],
    ]);
  });
});
