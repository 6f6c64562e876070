// What the results say, in words, and which target comes first: by the requests that failed, then by requests/s, then by
// latency. Idle connections are decided by their memory.
import { oneOf } from '../config/kind.js';
import type { Cell, Results } from './results.js';
import {
  connectionsOf,
  isNear,
  isSilent,
  type Metric,
  measured,
  metricOf,
  rank,
  row,
  type Summary,
  summariseAnswered,
  throughput,
} from './summary.js';

/** The share of failed requests from which failing fewer requests matters more than speed. */
export const failureThreshold = 0.001;

/** Failed requests as a share of all requests; undefined if there were none. */
export const failureRate: Metric = {
  name: 'failed',
  title: 'failed requests',
  better: 'less',
  of({ errors: { connection, timeout, status }, requests }) {
    const all = connection + timeout + requests;
    return all > 0 ? (connection + timeout + status) / all : undefined;
  },
  write: (share) => (share === 0 ? 'none' : `${(share * 100).toFixed(share < 0.01 ? 2 : 1)} %`),
};

/** Decides if all serve as many requests, as in an open loop that all keep up with. */
const latencyTail = metricOf('p99');

/** How a sentence names the best value of a metric. */
const superlatives: Readonly<Record<string, string>> = {
  failed: 'the fewest failed requests',
  rps: 'the most requests/s',
  p99: 'the lowest latency p99 at equal requests/s',
  'memory-per-connection': 'the least memory per connection',
};

type Cells = readonly (Cell | undefined)[];

/** The metric that decides, and each target's summary; undefined if it was not measured, or answered no request. */
interface Standing {
  readonly metric: Metric;
  readonly summaries: readonly (Summary | undefined)[];
}

/** @param cells of one scenario with one number of connections */
function standingOf(cells: Cells): Standing {
  const standing = (metric: Metric) => ({ metric, summaries: cells.map((cell) => summariseAnswered(metric, cell)) });
  const failures = standing(failureRate);
  if (failures.summaries.some((one) => one && one.median >= failureThreshold)) return failures;
  const memory = standing(metricOf('memory-per-connection'));
  if (memory.summaries.some((one) => one !== undefined)) return memory;
  const speed = standing(throughput);
  const latency = standing(latencyTail);
  const known = speed.summaries.filter((one) => one !== undefined);
  const isEven = known.length > 1 && known.every((one) => known.every((other) => isNear(one, other)));
  return isEven && latency.summaries.some((one) => one !== undefined) ? latency : speed;
}

/** The verdict on one scenario, at its largest number of connections: phrases without a full stop. */
export interface Verdict {
  readonly scenario: string;
  readonly finding: string;
  /** The values behind it, the best first. */
  readonly values: string;
  /** The best target, or those that tie for it; empty if a single round has no spread. */
  readonly leaders: readonly string[];
}

export function verdicts(results: Results): readonly Verdict[] {
  const names = results.contenders.map(({ name }) => name);
  return results.scenarios.flatMap(({ name }) => {
    const connections = connectionsOf(results, name).at(-1);
    return connections === undefined ? [] : [{ scenario: name, ...verdictOf(names, row(results, name, connections)) }];
  });
}

/** The targets that lead most scenarios, as a sentence; undefined with a single scenario or without leaders. */
export function headline(results: Results): string | undefined {
  const all = verdicts(results);
  const wins = results.contenders.map(({ name }) => ({
    name,
    count: all.filter(({ leaders }) => leaders.includes(name)).length,
  }));
  const most = Math.max(...wins.map(({ count }) => count));
  if (all.length < 2 || !(most > 0)) return undefined;
  const first = wins.filter(({ count }) => count === most).map(({ name }) => name);
  const among = unmarkedReason(results) === undefined ? '' : 'of those measured, ';
  const verb = first.length === 1 ? 'is' : 'are';
  return `${among}${oneOf(first, 'and')} ${verb} best, or tied for it, in ${most} of ${all.length} scenarios`;
}

function verdictOf(names: readonly string[], cells: Cells): Omit<Verdict, 'scenario'> {
  const { metric } = standingOf(cells);
  const order = positions(cells);
  const listedBy = (one: Metric): readonly Listed[] =>
    order.flatMap((i) => {
      const summary = summariseAnswered(one, cells[i]);
      return summary ? [{ name: names[i] ?? '', summary }] : [];
    });
  const listed = listedBy(metric);
  const { text = '', leaders = [] } = findingOf(metric, listed);
  const silent = names.filter((_, i) => isSilent(cells[i]));
  // A server that fails no request may be a slow one.
  const tails = metric === failureRate ? listedBy(latencyTail) : [];
  const findings = [
    text && cells.includes(undefined) ? `of those measured, ${text}` : text,
    silent.length > 0 ? `${oneOf(silent, 'and')} answered no request` : '',
  ];
  return {
    finding: findings.filter((part) => part !== '').join('; '),
    values: write(metric, listed) + (tails.length > 0 ? `; ${latencyTail.title} ${write(latencyTail, tails)}` : ''),
    leaders,
  };
}

interface Listed {
  readonly name: string;
  readonly summary: Summary;
}

/** @param listed the best first */
function findingOf(metric: Metric, listed: readonly Listed[]): { text?: string; leaders?: readonly string[] } {
  const [best] = listed;
  const { title } = metric;
  if (best === undefined) return {};
  if (listed.length === 1) return { text: `${title} of ${best.name} only` };
  if (listed.some(({ summary }) => summary.count < 2)) return { text: `${title}, measured once` };
  if (listed.every(({ summary }) => summary.median === best.summary.median)) {
    return { text: `no difference in ${title}`, leaders: listed.map(({ name }) => name) };
  }
  const ranks = rank(
    metric,
    listed.map(({ summary }) => summary),
  );
  const superlative = superlatives[metric.name] ?? title;
  const tied = listed.filter((_, i) => ranks[i] === 'tie');
  if (tied.length === 0) return { text: `${best.name} has ${superlative}`, leaders: [best.name] };
  const leaders = tied.map(({ name }) => name);
  const names = oneOf(leaders, 'and');
  const areNear = tied.every(({ summary }) => isNear(best.summary, summary));
  return {
    text: areNear ? `${names} tie for ${superlative}` : `the rounds spread too far to tell ${names} apart by ${title}`,
    leaders,
  };
}

function write(metric: Metric, listed: readonly Listed[]): string {
  return listed.map(({ name, summary }) => `${name} ${metric.write(summary.median)}`).join(', ');
}

/** The indexes in `cells` of the targets that were measured, the best first, and those that answered nothing last. */
function positions(cells: Cells): readonly number[] {
  const { metric, summaries } = standingOf(cells);
  const sign = metric.better === 'less' ? 1 : -1;
  const value = (i: number) => sign * (summaries[i]?.median ?? sign * Number.POSITIVE_INFINITY);
  const measured = cells.flatMap((cell, i) => (cell === undefined ? [] : [i]));
  return measured.sort((a, b) => (value(a) === value(b) ? a - b : value(a) - value(b)));
}

/**
 * The indexes in `results.contenders` of the targets that were measured, the best first: in `scenario`, or by their mean
 * position in all scenarios.
 */
export function bestFirst(results: Results, scenario?: string): readonly number[] {
  const names = scenario === undefined ? results.scenarios.map(({ name }) => name) : [scenario];
  const orders = names.flatMap((name) => {
    const connections = connectionsOf(results, name).at(-1);
    return connections === undefined ? [] : [positions(row(results, name, connections))];
  });
  const last = results.contenders.length;
  const place = (i: number) => orders.reduce((sum, order) => sum + (order.includes(i) ? order.indexOf(i) : last), 0);
  return [...measured(results, scenario)].sort((a, b) => place(a) - place(b) || a - b);
}

/** Why nothing is marked as best, in general or where targets are missing: a sentence without a full stop. */
export function unmarkedReason({ contenders, settings, interrupted }: Results): string | undefined {
  if (contenders.length < 2) return undefined;
  if (settings.rounds === 1) return 'One round has no spread, so nothing is marked as best; use --rounds 3 or more';
  const [failed, others] = [true, false].map((isFailed) =>
    contenders.filter(({ failure }) => (failure !== undefined) === isFailed).map(({ name }) => name),
  );
  if (failed && failed.length > 0) {
    const advice = others && others.length > 1 ? `; to compare the others, use --models ${others.join(',')}` : '';
    return `Nothing is marked as best where ${oneOf(failed, 'and')} is missing${advice}`;
  }
  return interrupted ? 'Nothing is marked as best where rounds are missing, as the comparison was stopped' : undefined;
}
