// One recommendation from as few measurements as decide: whether the app loses requests, then who answers most.
import { bench, type Plan } from './bench.js';
import type { Cell, Contender, Results, Round } from './results.js';
import type { Scenario } from './scenario.js';
import { type Figure, figures, median, rank, type Summary, summarise } from './summary.js';
import type { Rival } from './target.js';

export interface Advice {
  readonly model: string;
  /** What was decided by, in one sentence with its numbers. */
  readonly because: string;
  /** What others do better, a sentence each. */
  readonly givesUp: readonly string[];
  readonly confidence: Confidence;
  /** False where the default would do as well. */
  readonly isWorthIt: boolean;
  /** All that was measured. */
  readonly results: readonly Results[];
}

export type Confidence = 'sure' | 'fairly sure' | 'a toss-up';

export interface Candidates {
  /** Who serve many connections each; the first is the default. */
  readonly pooled: readonly Rival[];
  /** Who serve one connection each, and so lose no more than that. */
  readonly isolating: readonly Rival[];
}

/** When a larger share of requests than this is lost, who loses least is asked before who is fastest. */
const worthIsolating = 0.001;

/** Rounds that differ by no more than this share of their median tell the same. */
const steady = 0.1;

const throughput = figures.find(({ name }) => name === 'rps') as Figure;

/** Requests that got no answer, or one of failure, as a share of all; unknown when nothing came of any. */
const loss: Pick<Figure, 'of'> = {
  of({ errors: { connection, timeout, status }, requests }) {
    const all = connection + timeout + requests;
    return all > 0 ? (connection + timeout + status) / all : undefined;
  },
};

type Terms = Omit<Plan, 'rivals' | 'scenarios'>;

/** @throws NothingToCompare */
export async function advise({ pooled, isolating }: Candidates, scenario: Scenario, terms: Terms): Promise<Advice> {
  const first = await bench({ ...terms, rivals: pooled, scenarios: [scenario] });
  const losses = first.cells.flatMap((cell) => medianOf(loss, cell) ?? []);
  if (first.interrupted || losses.every((share) => share < worthIsolating)) return fastest(first, pooled);

  const second = await bench({ ...terms, rivals: isolating, scenarios: [scenario] });
  return safest([first, second], pooled);
}

/** Who answers most, of one scenario; among those that are alike the default, which is the first of `candidates`. */
export function fastest(results: Results, candidates: readonly Pick<Rival, 'name'>[]): Advice {
  const { cells } = results;
  const summaries = cells.map((cell) => summarise(throughput, cell));
  const ranks = rank(throughput, summaries);
  const best = ranks.indexOf('best');
  const usual = candidates[0]?.name ?? '';
  const hasUsual = cells.some(({ contender }) => contender === usual);
  const tied = cells.filter((_, i) => ranks[i] === 'tie').map(({ contender }) => contender);
  const model = cells[best]?.contender ?? (tied.includes(usual) ? usual : (tied[0] ?? usual));
  const numbers = cells.map((cell, i) => `${cell.contender} ${words(throughput, summaries[i])}`).join(', ');
  const isWorthIt = model !== usual || !hasUsual;
  const isSteady = summaries.every((one) => one && one.most - one.least <= steady * one.median);
  const confidence = isSteady ? 'sure' : best < 0 ? 'a toss-up' : 'fairly sure';
  const finding =
    best >= 0
      ? 'it answers most requests/s'
      : model === usual
        ? 'no difference worth having in requests/s'
        : `${tied.join(' and ')} answer most requests/s, and are alike`;
  return {
    model,
    because: `${finding}: ${numbers}`,
    givesUp: sacrifices(model, cells, [results]),
    confidence,
    isWorthIt,
    results: [results],
  };
}

function safest(results: readonly Results[], candidates: readonly Rival[]): Advice {
  const cells = results.flatMap((one) => one.cells);
  const shares = new Map(
    cells.flatMap((cell) => {
      const share = medianOf(loss, cell);
      return share === undefined ? [] : [[cell, share] as const];
    }),
  );
  const least = Math.min(...shares.values());
  // A tenth more is within what chance does to events as rare as these.
  const careful = [...shares].filter(([, share]) => share <= Math.max(least * 1.1, worthIsolating / 10));
  const speed = (cell: Cell) => medianOf(throughput, cell) ?? 0;
  const chosen = careful.sort(([a], [b]) => speed(b) - speed(a))[0]?.[0];
  const model = chosen?.contender ?? candidates[0]?.name ?? '';
  const numbers = cells
    .map(
      (cell) =>
        `${cell.contender} ${shares.has(cell) ? percent(shares.get(cell) ?? 0) : '(not one answer in the time)'}`,
    )
    .join(', ');
  const others = [...shares].filter(([cell]) => cell !== chosen);
  const isClear = others.every(([, share]) => share > 2 * least || share <= least * 1.1);
  return {
    model,
    because: `requests are lost, and it loses least of them: ${numbers}`,
    givesUp: sacrifices(model, cells, results),
    confidence: isClear ? 'sure' : 'fairly sure',
    isWorthIt: model !== candidates[0]?.name,
    results,
  };
}

/** What a user might miss; the figures that are shown for it, and how its lack is said. */
const missed: readonly (readonly [name: string, words: string])[] = [
  ['rps', 'answers more requests/s'],
  ['p99', 'has a better p99'],
  ['cpu', 'needs less CPU per request'],
  ['memory', 'needs less memory'],
];

function sacrifices(model: string, cells: readonly Cell[], results: readonly Results[]): readonly string[] {
  const own = cells.find(({ contender }) => contender === model);
  const lines = missed.flatMap(([name, words_]) => {
    const figure = figures.find((one) => one.name === name) as Figure;
    const summaries = cells.map((cell) => summarise(figure, cell));
    const i = rank(figure, summaries).indexOf('best');
    const other = cells[i];
    if (!own || !other || other === own) return [];
    return [
      `${other.contender} ${words_}: ${words(figure, summaries[i])} against ${words(figure, summarise(figure, own))}`,
    ];
  });
  return [...lines, ...growth(model, cells, results)];
}

/** A process grows while its compiler warms up, so this is told and not judged. */
function growth(model: string, cells: readonly Cell[], results: readonly Results[]): readonly string[] {
  const rounds = cells.find(({ contender }) => contender === model)?.rounds ?? [];
  const [first, last] = [rounds[0]?.peakMemoryBytes, rounds.at(-1)?.peakMemoryBytes];
  if (first === undefined || last === undefined || last < first * 1.3) return [];
  const seconds = ((results[0]?.settings.durationMs ?? 0) / 1000) * rounds.length;
  const served = Math.round((medianOf(throughput, { rounds }) ?? 0) * seconds);
  return [
    `its memory rose from ${Math.round(first / 1e6)} to ${Math.round(last / 1e6)} MB in about ${served.toLocaleString('en')} requests; if that goes on, the app leaks`,
  ];
}

/** The contender of that name, as it was run. */
export function contenderOf({ results }: Advice, model: string): Contender | undefined {
  return results.flatMap(({ contenders }) => contenders).find(({ name }) => name === model);
}

function medianOf(figure: Pick<Figure, 'of'>, { rounds }: { readonly rounds: readonly Round[] }): number | undefined {
  const values = rounds.flatMap((round) => figure.of(round) ?? []);
  return values.length > 0 ? median(values) : undefined;
}

function words(figure: Figure, summary: Summary | undefined): string {
  return summary ? figure.write(summary.median) : 'unknown';
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.01 ? 2 : 1)} %`;
}
