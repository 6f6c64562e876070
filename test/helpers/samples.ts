// The samples of /metrics, as a scraper sees them over the control socket.
import { expect } from 'vitest';
import { read } from './control.ts';
import { eventually } from './eventually.ts';

/** By name and labels, as the page has them. */
export type Samples = ReadonlyMap<string, number>;

export function parseSamples(text: string): Samples {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

export async function scrape({ control }: { readonly control: string }): Promise<Samples> {
  const { status, text } = await read(control, '/metrics');
  expect(status).toBe(200);
  return parseSamples(text);
}

export const isCounter = (name: string): boolean => /_(total|count|sum|bucket)(\{|$)/.test(name);

/** Counters that are lower than they were, or gone. */
export function fallenCounters(before: Samples, after: Samples): readonly string[] {
  return [...before].flatMap(([name, value]) => {
    const now = after.get(name) ?? 0;
    return isCounter(name) && now < value ? [`${name} ${value} ${now}`] : [];
  });
}

/** Waits until the sample has this value, and no other than that or a lower one before. */
export async function reaches(site: { readonly control: string }, sample: string, value: number): Promise<void> {
  let last: number | undefined;
  const isThere = async (): Promise<boolean> => {
    last = (await scrape(site)).get(sample);
    return last === value;
  };
  await eventually(`${sample} to be ${value}`, isThere).catch((error: Error) => {
    throw new Error(`${error.message}; it is ${last}`);
  });
}
