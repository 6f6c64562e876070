// Recommends a model. Measures the pooled models first. If the app loses requests under them, measures the models with
// one process or thread per connection, too. Measures nothing that could not change the recommendation.
import { bench, type Plan } from './bench.js';
import type { Cell, Contender, Results } from './results.js';
import type { Scenario } from './scenario.js';
import { type Metric, metrics, rank, type Summary, summarise } from './summary.js';
import type { Target } from './target.js';

export interface Advice {
  readonly model: string;
  /** The reason, in one sentence with the measured values. */
  readonly because: string;
  /** What other models do better, a sentence each. */
  readonly givesUp: readonly string[];
  readonly confidence: 'sure' | 'fairly sure' | 'a toss-up';
  /** False if the default model is as good. */
  readonly isWorthIt: boolean;
  /** The results of each comparison. */
  readonly results: readonly Results[];
}

interface Candidates {
  /** Models whose workers serve many connections each; the first is the default. */
  readonly pooled: readonly Target[];
  /** Models whose workers serve one connection each, so a crash loses no other connection. */
  readonly perConnection: readonly Target[];
}

/** The share of lost requests from which losing fewer requests matters more than throughput. */
const lossThreshold = 0.001;

/** Rounds are stable if their range is at most this share of the median. */
const stableRange = 0.1;

const throughput = metrics.find(({ name }) => name === 'rps') as Metric;

/** Failed requests as a share of all requests; undefined if there were none. */
const lossRate: Pick<Metric, 'of'> = {
  of({ errors: { connection, timeout, status }, requests }) {
    const all = connection + timeout + requests;
    return all > 0 ? (connection + timeout + status) / all : undefined;
  },
};

type Settings = Omit<Plan, 'targets' | 'scenarios'>;

/** @throws NoUsableTarget when no model can be measured */
export async function advise(
  { pooled, perConnection }: Candidates,
  scenario: Scenario,
  settings: Settings,
): Promise<Advice> {
  const first = await bench({ ...settings, targets: pooled, scenarios: [scenario] });
  const losses = first.cells.flatMap((cell) => summarise(lossRate, cell)?.median ?? []);
  if (first.interrupted || losses.every((share) => share < lossThreshold)) return fastest(first, pooled);

  const second = await bench({ ...settings, targets: perConnection, scenarios: [scenario] });
  return safest([first, second], pooled);
}

/** Recommends the model with the highest throughput in one scenario; of tied models the default, `candidates[0]`. */
export function fastest(results: Results, candidates: readonly Pick<Target, 'name'>[]): Advice {
  const { cells } = results;
  const summaries = cells.map((cell) => summarise(throughput, cell));
  const ranks = rank(throughput, summaries);
  const best = ranks.indexOf('best');
  const defaultModel = candidates[0]?.name ?? '';
  const hasDefault = cells.some(({ contender }) => contender === defaultModel);
  const tied = cells.filter((_, i) => ranks[i] === 'tie').map(({ contender }) => contender);
  const model = cells[best]?.contender ?? (tied.includes(defaultModel) ? defaultModel : (tied[0] ?? defaultModel));
  const numbers = cells.map((cell, i) => `${cell.contender} ${formatMedian(throughput, summaries[i])}`).join(', ');
  const isWorthIt = model !== defaultModel || !hasDefault;
  const isStable = summaries.every((one) => one && one.max - one.min <= stableRange * one.median);
  const confidence = isStable ? 'sure' : best < 0 ? 'a toss-up' : 'fairly sure';
  const finding =
    best >= 0
      ? 'highest requests/s'
      : model === defaultModel
        ? 'no significant difference in requests/s'
        : `${tied.join(' and ')} tie for the highest requests/s`;
  return {
    model,
    because: `${finding}: ${numbers}`,
    givesUp: tradeOffs(model, cells, [results]),
    confidence,
    isWorthIt,
    results: [results],
  };
}

/** Recommends the model that loses the fewest requests; of similar models the one with the highest throughput. */
function safest(results: readonly Results[], candidates: readonly Target[]): Advice {
  const cells = results.flatMap((one) => one.cells);
  const shares = new Map(
    cells.flatMap((cell) => {
      const share = summarise(lossRate, cell)?.median;
      return share === undefined ? [] : [[cell, share] as const];
    }),
  );
  const lowestLoss = Math.min(...shares.values());
  // Crashes are rare events, so a loss rate 10 % higher may be chance.
  const similar = [...shares].filter(([, share]) => share <= Math.max(lowestLoss * 1.1, lossThreshold / 10));
  const speed = (cell: Cell) => summarise(throughput, cell)?.median ?? 0;
  const chosen = similar.sort(([a], [b]) => speed(b) - speed(a))[0]?.[0];
  const model = chosen?.contender ?? candidates[0]?.name ?? '';
  const numbers = cells
    .map((cell) => `${cell.contender} ${shares.has(cell) ? percent(shares.get(cell) ?? 0) : '(no response)'}`)
    .join(', ');
  const others = [...shares].filter(([cell]) => cell !== chosen);
  const isClear = others.every(([, share]) => share > 2 * lowestLoss || share <= lowestLoss * 1.1);
  return {
    model,
    because: `the app loses requests, and ${model} loses the fewest: ${numbers}`,
    givesUp: tradeOffs(model, cells, results),
    confidence: isClear ? 'sure' : 'fairly sure',
    isWorthIt: model !== candidates[0]?.name,
    results,
  };
}

/** The metrics whose best model is named as a trade-off, and how. */
const tradeOffMetrics: readonly (readonly [name: string, wording: string])[] = [
  ['rps', 'serves more requests/s'],
  ['p99', 'has a lower p99'],
  ['cpu', 'needs less CPU per request'],
  ['memory', 'needs less memory'],
];

function tradeOffs(model: string, cells: readonly Cell[], results: readonly Results[]): readonly string[] {
  const own = cells.find(({ contender }) => contender === model);
  const lines = tradeOffMetrics.flatMap(([name, wording]) => {
    const metric = metrics.find((one) => one.name === name) as Metric;
    const summaries = cells.map((cell) => summarise(metric, cell));
    const i = rank(metric, summaries).indexOf('best');
    const other = cells[i];
    if (!own || !other || other === own) return [];
    return [
      `${other.contender} ${wording}: ${formatMedian(metric, summaries[i])} instead of ${formatMedian(metric, summarise(metric, own))}`,
    ];
  });
  return [...lines, ...memoryGrowth(model, cells, results)];
}

/** Warns of a possible memory leak. The model is not rated by it, as a process also grows while V8 warms up. */
function memoryGrowth(model: string, cells: readonly Cell[], results: readonly Results[]): readonly string[] {
  const rounds = cells.find(({ contender }) => contender === model)?.rounds ?? [];
  const [first, last] = [rounds[0]?.peakMemoryBytes, rounds.at(-1)?.peakMemoryBytes];
  if (first === undefined || last === undefined || last < first * 1.3) return [];
  const seconds = ((results[0]?.settings.durationMs ?? 0) / 1000) * rounds.length;
  const answered = Math.round((summarise(throughput, { rounds })?.median ?? 0) * seconds);
  return [
    `the memory of ${model} grew from ${Math.round(first / 1e6)} to ${Math.round(last / 1e6)} MB in about ${answered.toLocaleString('en')} requests; if it keeps growing, the app has a memory leak`,
  ];
}

/** @returns the facts about a model's server as it was measured */
export function contenderOf({ results }: Advice, model: string): Contender | undefined {
  return results.flatMap(({ contenders }) => contenders).find(({ name }) => name === model);
}

function formatMedian(metric: Metric, summary: Summary | undefined): string {
  return summary ? metric.write(summary.median) : 'unknown';
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.01 ? 2 : 1)} %`;
}
