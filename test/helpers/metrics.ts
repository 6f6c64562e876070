// What a scraper sees of a server.
import { expect } from 'vitest';
import { read } from './control.ts';
import type { Site } from './site.ts';

/** By name and labels, as the page has them. */
export type Samples = ReadonlyMap<string, number>;

export async function scrape(site: Site): Promise<Samples> {
  const { status, text } = await read(site.control, '/metrics');
  expect(status).toBe(200);
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

export const isCounter = (name: string): boolean => /_(total|count|sum|bucket)(\{|$)/.test(name);

/** Counters that are lower than they were, or gone. */
export function fallenCounters(before: Samples, after: Samples): readonly string[] {
  return [...before].flatMap(([name, value]) => {
    const now = after.get(name) ?? 0;
    return isCounter(name) && now < value ? [`${name} ${value} ${now}`] : [];
  });
}
