// The alerting rules and the dashboard in docs/deploy name metrics that exist, with labels that they have.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { definitions } from '../../src/metrics/definitions.ts';

const read = (name: string): string => readFileSync(path.join(import.meta.dirname, '../../docs/deploy', name), 'utf8');
const [rules, ruleTests, dashboard, guide] = [
  'mpserve.rules.yml',
  'mpserve.rules.test.yml',
  'grafana-dashboard.json',
  'prometheus.md',
].map(read) as [string, string, string, string];

/** Prometheus adds these, or a function of PromQL does. */
const addedLabels = ['job', 'instance'];

const labelsOf = new Map(
  definitions.flatMap(({ name, type, labels = [] }): [string, readonly string[]][] =>
    type === 'histogram'
      ? ['_bucket', '_sum', '_count'].map((suffix) => [`${name}${suffix}`, labels])
      : [[name, labels]],
  ),
);

/** Each use of a metric in a text, with the labels that it names in braces. */
function uses(text: string): { readonly name: string; readonly labels: readonly string[] }[] {
  return [...text.matchAll(/\b(mpserve_\w+)(?:\{([^{}]*)\})?/g)].map(([, name = '', matchers = '']) => ({
    name,
    labels: [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*\\?"/g)].map(([, label = '']) => label),
  }));
}

test.each([
  ['mpserve.rules.yml', rules, 14],
  ['mpserve.rules.test.yml', ruleTests, 40],
  ['grafana-dashboard.json', dashboard, 40],
  ['prometheus.md', guide, 5],
])('%s names metrics and labels that exist', (_, text, least) => {
  const all = uses(text);
  expect(all.length).toBeGreaterThanOrEqual(least);
  expect(all.filter(({ name }) => !labelsOf.has(name)).map(({ name }) => name)).toEqual([]);
  const wrong = all.flatMap(({ name, labels }) =>
    labels
      .filter((label) => ![...addedLabels, ...(labelsOf.get(name) ?? [])].includes(label))
      .map((one) => [name, one]),
  );
  expect(wrong).toEqual([]);
});

test('each metric is on the dashboard', () => {
  const shown = uses(dashboard).map(({ name }) => name.replace(/_bucket$/, ''));
  // What others show better: a state, or the reason of a worker's end.
  const others = [
    'mpserve_generation',
    'mpserve_connections_unserved_total',
    'mpserve_sessions_placed_again_total',
    'mpserve_requests_retried_total',
  ];
  expect(definitions.map(({ name }) => name).filter((name) => !shown.includes(name))).toEqual(
    expect.arrayContaining(others),
  );
  expect(definitions.map(({ name }) => name).filter((name) => !shown.includes(name) && !others.includes(name))).toEqual(
    [],
  );
});

describe('the dashboard', () => {
  const { panels, templating, __inputs } = JSON.parse(dashboard);
  test('asks for its source of data when it is imported, and for nothing else', () => {
    expect(__inputs).toMatchObject([{ name: 'DS_PROMETHEUS', pluginId: 'prometheus' }]);
    const uids = [...dashboard.matchAll(/"uid": "([^"]+)"/g)].map(([, uid]) => uid);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: as Grafana has it
    expect(new Set(uids)).toEqual(new Set(['${DS_PROMETHEUS}']));
    expect(templating.list.map(({ name }: { name: string }) => name)).toEqual(['job', 'instance']);
  });
  test('has panels with numbers of their own, beside each other', () => {
    const ids = panels.map(({ id }: { id: number }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }: { gridPos: Record<'x' | 'y' | 'w' | 'h', number> }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)} ${y + Math.floor(i / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
  });
});

test('each alert has a test in which it fires, and one in which it does not', () => {
  const alerts = [...rules.matchAll(/alert: (\w+)/g)].map(([, name]) => name as string);
  expect(alerts.length).toBe(14);
  const firing = [...ruleTests.matchAll(/alertname: (\w+)\n +exp_alerts:\n +- exp_labels/g)].map(([, name]) => name);
  const quiet = [...ruleTests.matchAll(/alertname: (\w+), exp_alerts: \[\]/g)].map(([, name]) => name);
  expect(alerts.filter((name) => !firing.includes(name) || !quiet.includes(name))).toEqual([]);
});
