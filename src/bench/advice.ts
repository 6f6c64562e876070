// Recommends a model. Measures the pooled models first, and more rounds of those that cannot be told apart. If the app
// loses requests under them, measures the models with one process or thread per connection, too. Measures nothing that
// could not change the recommendation.
import { oneOf } from '../config/kind.js';
import { bench, NoUsableTarget, type Plan } from './bench.js';
import { difference } from './difference.js';
import type { Cell, Contender, Results } from './results.js';
import type { Scenario } from './scenario.js';
import {
  isSilent,
  type Metric,
  metricOf,
  rank,
  type Summary,
  summarise,
  summariseAnswered,
  throughput,
} from './summary.js';
import type { Target } from './target.js';
import { unitFinding } from './unit-finding.js';
import { failureRate, failureThreshold } from './verdict.js';

export interface Advice {
  readonly model: string;
  /** The reason, in one sentence with the measured values. */
  readonly because: string;
  /** What other models do better, a sentence each. */
  readonly givesUp: readonly string[];
  /** Whether threads should serve requests or connections, a sentence; absent if that makes no difference. */
  readonly unitFinding?: string;
  readonly confidence: 'sure' | 'fairly sure' | 'a toss-up';
  /** False if the default model is as good, as far as the rounds tell. */
  readonly isWorthIt: boolean;
  /** The rounds spread too far to tell the best models apart. */
  readonly isUnclear: boolean;
  /** If that is so: about how many rounds in all would tell them apart; absent if a single round has no spread. */
  readonly roundsNeeded?: number | undefined;
  /** How long one round of one model took, with the starts and pauses (milliseconds). */
  readonly msPerRound?: number;
  /** The results of each comparison. */
  readonly results: readonly Results[];
}

interface Candidates {
  /** Models whose workers serve many connections each; the first is the default. */
  readonly pooled: readonly Target[];
  /** Models whose workers serve one connection each, so a crash loses no other connection. */
  readonly perConnection: readonly Target[];
}

/** Rounds are stable if their range is at most this share of the median. */
const stableRange = 0.1;

/** How many times the planned rounds are measured at most, while the models cannot be told apart. */
const maxRoundsFactor = 4;

type Settings = Omit<Plan, 'targets' | 'scenarios'>;

/** @throws NoUsableTarget when no pooled model can be measured */
export async function advise(
  { pooled, perConnection }: Candidates,
  scenario: Scenario,
  settings: Settings,
): Promise<Advice> {
  const began = performance.now();
  const measure = (targets: readonly Target[], rounds = settings.rounds) =>
    bench({ ...settings, targets, rounds, scenarios: [scenario] });
  const first = await measure(pooled);
  const losses = first.cells.flatMap((cell) => summarise(failureRate, cell)?.median ?? []);
  if (!first.interrupted && losses.some((share) => share >= failureThreshold)) {
    const second = await measure(perConnection).catch((error) => {
      if (!(error instanceof NoUsableTarget)) throw error;
      return { ...first, contenders: error.contenders, cells: [] };
    });
    return safest([first, second], pooled);
  }

  let results = first;
  while (!results.interrupted) {
    const { rounds } = results.settings;
    const { level, unclear } = race(results.cells);
    const most = settings.rounds * maxRoundsFactor;
    if (unclear.length === 0 || rounds >= most) break;
    // At least as many again, since few rounds estimate the spread badly.
    const needed = Math.max(2 * rounds, ...unclear.map(({ roundsNeeded = 0 }) => roundsNeeded));
    const more = Math.min(needed, most) - rounds;
    const doing = `the rounds spread too far to tell ${oneOf(level, 'and')} apart; measuring ${more} more of each`;
    settings.onProgress({ doing, done: 0, all: more * level.length });
    const targets = pooled.filter(({ name }) => level.includes(name));
    results = joined(results, await measure(targets, more));
  }
  const measurements = results.cells.reduce((sum, { rounds }) => sum + rounds.length, 0);
  return { ...fastest(results, pooled), msPerRound: (performance.now() - began) / Math.max(1, measurements) };
}

/** @param more further rounds of the same scenario, of all targets or some */
function joined(results: Results, more: Results): Results {
  const contenders = results.contenders.map((one) => {
    const again = more.contenders.find(({ name }) => name === one.name);
    return { ...one, bootMs: [...one.bootMs, ...(again?.bootMs ?? [])] };
  });
  const cells = results.cells.map((cell) => {
    const again = more.cells.find(({ contender }) => contender === cell.contender);
    return { ...cell, rounds: [...cell.rounds, ...(again?.rounds ?? [])] };
  });
  const settings = { ...results.settings, rounds: results.settings.rounds + more.settings.rounds };
  const warnings = [...new Set([...results.warnings, ...more.warnings])];
  return { ...results, contenders, cells, settings, warnings, interrupted: more.interrupted };
}

/**
 * The model with the highest throughput, and how the others differ from it. A model that answered nothing is not in the
 * race, nor is one with fewer rounds, which was clearly slower than another one and was not measured on.
 */
function race(cells: readonly Cell[]) {
  const speeds = (cell: Cell) => cell.rounds.map(({ requestsPerSecond }) => requestsPerSecond);
  const rounds = Math.max(...cells.map((cell) => cell.rounds.length));
  const [first, ...rest] = cells.filter((cell) => cell.rounds.length === rounds && !isSilent(cell));
  if (first === undefined) return { level: [], unclear: [] };
  const leader = rest.reduce((best, one) => (difference(speeds(one), speeds(best)).isHigher ? one : best), first);
  const others = [first, ...rest].filter((cell) => cell !== leader);
  const differences = others.map((cell) => ({ cell, ...difference(speeds(leader), speeds(cell)) }));
  const different = differences.filter(({ result }) => result === 'different').map(({ cell }) => cell);
  return {
    /** The leader, and the models that are as fast as far as the rounds tell, in the order of `cells`. */
    level: [first, ...rest].filter((cell) => !different.includes(cell)).map(({ contender }) => contender),
    /** Those for which more rounds are needed to tell. */
    unclear: differences.filter(({ result }) => result === 'unclear'),
  };
}

/** Recommends the model with the highest throughput in one scenario; of tied models the default, `candidates[0]`. */
export function fastest(results: Results, candidates: readonly Pick<Target, 'name'>[]): Advice {
  const { cells } = results;
  const { level, unclear } = race(cells);
  const defaultModel = candidates[0]?.name ?? '';
  const model = level.includes(defaultModel) ? defaultModel : (level[0] ?? defaultModel);
  const summaries = cells.map((cell) => summariseAnswered(throughput, cell));
  const isUnclear = unclear.length > 0;
  const numbers = cells.map(({ contender }, i) => `${contender} ${formatThroughput(summaries[i], isUnclear)}`);
  const isStable = summaries.every((one) => !one || one.max - one.min <= stableRange * one.median);
  const needed = unclear.map(({ roundsNeeded }) => roundsNeeded ?? Number.NaN);
  return {
    model,
    because: `${finding(level, cells.length, isUnclear)}: ${numbers.join(', ')}`,
    givesUp: tradeOffs(model, cells, [results]),
    ...unitFindingOf(cells),
    confidence: isUnclear || level.length === 0 ? 'a toss-up' : level.length > 1 || isStable ? 'sure' : 'fairly sure',
    isWorthIt: model !== defaultModel || !cells.some(({ contender }) => contender === defaultModel),
    isUnclear,
    ...(isUnclear && !needed.includes(Number.NaN) && { roundsNeeded: Math.max(...needed) }),
    results: [results],
  };
}

/** @param level the fastest models @param all the number of models */
function finding(level: readonly string[], all: number, isUnclear: boolean): string {
  if (level.length === 0) return 'no model answered a request';
  if (level.length === 1) return 'highest requests/s';
  if (isUnclear) return `the rounds spread too far to tell ${oneOf(level, 'and')} apart by requests/s`;
  if (level.length === all) return 'no significant difference in requests/s';
  return `${oneOf(level, 'and')} tie for the highest requests/s`;
}

function formatThroughput(summary: Summary | undefined, withRange: boolean): string {
  if (summary === undefined) return 'no answer';
  const [median, min, max] = [summary.median, summary.min, summary.max].map(throughput.write);
  return withRange && summary.count > 1 ? `${median} (${min} to ${max})` : `${median}`;
}

/** Recommends the model that loses the fewest requests; of similar models the one with the highest throughput. */
function safest(results: readonly Results[], candidates: readonly Target[]): Advice {
  const cells = results.flatMap((one) => one.cells);
  const shares = new Map(
    cells.flatMap((cell) => {
      const share = summarise(failureRate, cell)?.median;
      return share === undefined ? [] : [[cell, share] as const];
    }),
  );
  const lowestLoss = Math.min(...shares.values());
  // Crashes are rare events, so a loss rate 10 % higher may be chance.
  const similar = [...shares].filter(([, share]) => share <= Math.max(lowestLoss * 1.1, failureThreshold / 10));
  const speed = (cell: Cell) => summarise(throughput, cell)?.median ?? 0;
  const chosen = similar.sort(([a], [b]) => speed(b) - speed(a))[0]?.[0];
  const model = chosen?.contender ?? candidates[0]?.name ?? '';
  const numbers = cells.map((cell) => `${cell.contender} ${formatLoss(shares.get(cell))}`).join(', ');
  const others = [...shares].filter(([cell]) => cell !== chosen);
  const isClear =
    shares.size === cells.length && others.every(([, share]) => share > 2 * lowestLoss || share <= lowestLoss * 1.1);
  return {
    model,
    because: `the app loses requests, and ${model} loses the fewest: ${numbers}`,
    givesUp: tradeOffs(model, cells, results),
    ...unitFindingOf(cells),
    confidence: isClear ? 'sure' : 'fairly sure',
    isWorthIt: model !== candidates[0]?.name,
    isUnclear: false,
    results,
  };
}

function unitFindingOf(cells: readonly Cell[]): Pick<Advice, 'unitFinding'> {
  const found = cells.flatMap(({ contender }) => unitFinding(contender, cells) ?? [])[0];
  return found === undefined ? {} : { unitFinding: found };
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
    const metric = metricOf(name);
    const summaries = cells.map((cell) => summariseAnswered(metric, cell));
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

function formatLoss(share: number | undefined): string {
  return share === undefined ? 'no answer' : failureRate.write(share);
}
