// The page of a comparison: it escapes hostile strings, runs only its own scripts and loads no other file.
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { page } from '../../src/bench/page.ts';
import { results } from '../fixtures/bench-results.ts';

/** A copy of `value` with all strings changed. */
function rewritten<T>(value: T, change: (text: string) => string): T {
  return JSON.parse(JSON.stringify(value), (_, part) =>
    typeof part === 'string' && part !== '' ? change(part) : part,
  );
}

const attack = `"'><img src=x onerror=alert(9)></script></style></title><script>alert(9)</script><!--&lt;\u2028`;
const hostile = rewritten(results, (text) => text + attack);
const harmless = rewritten(results, (text) => text.replace(/\W/g, '_'));

const raw = /<(script|style)([^>]*)>([\s\S]*?)<\/\1>/g;

/** The content of inline scripts or styles whose tag has exactly these attributes. */
function inline(text: string, name: string, attributes = ''): string[] {
  return [...text.matchAll(raw)].filter((one) => one[1] === name && one[2] === attributes).map((one) => one[3] ?? '');
}

/** Without the content of scripts and styles. */
const markup = (text: string): string => text.replace(raw, '<$1$2></$1>');

interface Tag {
  readonly name: string;
  readonly attributes: readonly (readonly [name: string, value: string])[];
}

/** @throws Error if a `<` starts anything but a tag with quoted attributes */
function tags(text: string): Tag[] {
  return markup(text)
    .split('<')
    .slice(1)
    .map((piece) => {
      const found = /^(\/?[a-z][a-z0-9]*|!doctype)((?:\s+[a-zA-Z-]+(?:="[^"]*")?)*)\s*\/?>[^>]*$/.exec(piece);
      if (!found) throw new Error(`not a tag: <${piece}`);
      const attributes = [...(found[2] ?? '').matchAll(/([a-zA-Z-]+)(?:="([^"]*)")?/g)];
      return { name: found[1] ?? '', attributes: attributes.map((one) => [one[1] ?? '', one[2] ?? ''] as const) };
    });
}

const outline = (text: string): string[] =>
  tags(text).map(({ name, attributes }) => [name, ...attributes.map((one) => one[0])].join(' '));

const valuesOf = (text: string, wanted: RegExp): string[] =>
  tags(text).flatMap(({ attributes }) => attributes.filter(([name]) => wanted.test(name)).map((one) => one[1]));

/** The visible text. */
function visibleText(text: string): string {
  return markup(text)
    .replace(/<[^>]*>/g, ' ')
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
    .replace(/\s+/g, ' ');
}

const count = (text: string, what: RegExp): number => [...text.matchAll(what)].length;

describe.each([
  ['some strings', results],
  ['all strings', hostile],
])('with %s hostile', (_, given) => {
  const text = page(given);

  test('the page has the elements and attributes of a harmless page, and no others', () => {
    expect(outline(text)).toEqual(outline(page(harmless)));
  });

  test('no string becomes an element', () => {
    const charts = count(text, /<div class="chart"/g);
    expect(charts).toBeGreaterThan(0);
    expect(count(text, /<script/gi)).toBe(charts + 2);
    expect(count(text, /<\/script/gi)).toBe(charts + 2);
    expect(count(text, /<style/gi)).toBe(2);
    expect(count(text, /<\/style/gi)).toBe(2);
    expect(count(text, /<\/title/gi)).toBe(1);
    expect(text).not.toMatch(/<img|<!--|<iframe|<object|<embed|<base/i);
  });

  test('every hostile string is visible', () => {
    const seen = visibleText(text);
    for (const one of [given.app, ...given.warnings, ...given.contenders.flatMap(({ failure }) => failure ?? [])])
      expect(seen).toContain(one.replace(/\s+/g, ' '));
    for (const { name, command } of given.contenders) {
      expect(seen).toContain(name.replace(/\s+/g, ' '));
      expect(seen).toContain(command.replace(/\s+/g, ' '));
    }
    for (const { name, summary } of given.scenarios) {
      expect(seen).toContain(name.replace(/\s+/g, ' '));
      expect(seen).toContain(summary.replace(/\s+/g, ' '));
    }
  });

  test('the page has no event handler or style attributes, which its policy forbids', () => {
    expect(valuesOf(text, /^(on|style$)/i)).toEqual([]);
  });

  test('the policy allows the styles and scripts of the page, and nothing else', () => {
    const hashes = (texts: readonly string[]) =>
      texts.map((one) => `'sha256-${createHash('sha256').update(one).digest('base64')}'`);
    const [policy = ''] = tags(text)
      .filter(({ attributes }) => attributes.some(([, value]) => value === 'Content-Security-Policy'))
      .flatMap(({ attributes }) => attributes.filter(([name]) => name === 'content').map((one) => one[1]));
    const directives = policy.split('; ').map((one) => one.split(' '));
    const [styles, scripts] = [inline(text, 'style'), inline(text, 'script')];
    expect([styles.length, scripts.length]).toEqual([2, 2]);
    expect(Object.fromEntries(directives.map(([name, ...sources]) => [name, sources]))).toEqual({
      'default-src': ["'none'"],
      'style-src': hashes(styles),
      'script-src': hashes(scripts),
      'img-src': ['data:'],
      'base-uri': ["'none'"],
      'form-action': ["'none'"],
    });
  });

  test('the policy precedes all styles, scripts and links', () => {
    const policy = text.indexOf('http-equiv="Content-Security-Policy"');
    expect(policy).toBeGreaterThan(0);
    for (const one of ['<style', '<script', '<link']) expect(text.indexOf(one)).toBeGreaterThan(policy);
  });

  test('the page loads no other file', () => {
    const addresses = valuesOf(text, /^(src|srcset|href|action|formaction|data|poster|ping|background)$/i);
    expect(addresses.filter((one) => one !== 'data:,' && !one.startsWith('#'))).toEqual([]);
    expect(valuesOf(text, /^http-equiv$/i)).toEqual(['Content-Security-Policy']);
    for (const style of inline(text, 'style')) expect(style).not.toMatch(/url\(|@import|image-set\(/i);
    for (const script of inline(text, 'script'))
      expect(script).not.toMatch(/\bfetch\(|XMLHttpRequest|\bimport\b|WebSocket|EventSource|sendBeacon|new Image/);
  });

  test('the links lead to the scenarios', () => {
    const ids = valuesOf(text, /^id$/);
    expect(new Set(ids).size).toBe(ids.length);
    const links = new Set(valuesOf(text, /^href$/).filter((one) => one.startsWith('#')));
    expect([...links].sort()).toEqual(given.scenarios.map((_, i) => `#scenario-${i + 1}`));
    expect([...links].filter((one) => !ids.includes(one.slice(1)))).toEqual([]);
    expect(valuesOf(text, /^aria-labelledby$/).filter((one) => !ids.includes(one))).toEqual([]);
  });

  test('the data of each chart is valid JSON, with unescaped names', () => {
    const charts = inline(text, 'script', ' type="application/json"').map((one) => JSON.parse(one));
    expect(charts).toHaveLength(count(text, /<div class="chart"/g));
    const names = given.contenders.map(({ name }) => name);
    for (const { x, y, xValues, xLabels, lines } of charts) {
      expect(xLabels).toHaveLength(xValues.length);
      expect(lines.length).toBeGreaterThan(0);
      for (const { from, to, ticks } of [x, y]) {
        expect(from).toBeLessThan(to);
        expect(ticks.length).toBeGreaterThan(0);
      }
      for (const { contender, name, values, valueLabels } of lines) {
        expect(name).toBe(names[contender]);
        expect(values).toHaveLength(xValues.length);
        expect(valueLabels).toHaveLength(xValues.length);
        expect(values.filter((value: number) => value < y.from || value > y.to)).toEqual([]);
      }
    }
  });
});

test('a target that failed is listed with its failure, and has no metrics', () => {
  const seen = visibleText(page(results));
  const [failed] = results.contenders.filter(({ failure }) => failure !== undefined);
  expect(seen).toContain(`${failed?.name} could not be measured: ${failed?.failure}`);
  expect(seen).toContain(`Failed: ${failed?.failure}`);
  const charts = inline(page(results), 'script', ' type="application/json"').map((one) => JSON.parse(one));
  expect(charts.flatMap(({ lines }) => lines).filter(({ name }) => name === failed?.name)).toEqual([]);
});

test.each([
  [true, 1],
  [false, 0],
])('a run with interrupted: %j has %i notice(s) of it', (interrupted, times) => {
  const seen = visibleText(page({ ...results, interrupted }));
  expect(count(seen, /The comparison was stopped before its end\./g)).toBe(times);
});

test('a run without warnings and failures has no notices', () => {
  const contenders = results.contenders.map(({ failure: _, ...rest }) => rest);
  const seen = visibleText(page({ ...results, contenders, warnings: [], interrupted: false }));
  expect(seen).not.toMatch(/Before you read the metrics|could not be measured|Failed:/);
});

test('a scenario without results is marked as not measured', () => {
  expect(visibleText(page(results))).toContain('short one request per connection Not measured.');
});

test('a run without results makes a page', () => {
  const text = page({ ...results, cells: [], contenders: [] });
  expect(count(visibleText(text), /Not measured\./g)).toBe(results.scenarios.length);
  expect(count(text, /<div class="chart"/g)).toBe(0);
});

test.each([
  [{ rounds: 1, durationMs: 500 }, '1 round of 0.5 s; closed loop'],
  [{ rounds: 3, durationMs: 5000 }, '3 rounds of 5 s; closed loop'],
  [{ rounds: 3, durationMs: 5000, rate: 2000 }, '3 rounds of 5 s; open loop: 2,000 requests/s'],
])('the page shows the settings %j', (settings, text) => {
  expect(visibleText(page({ ...results, settings }))).toContain(text);
});
