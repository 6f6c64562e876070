// Changes since an earlier run (`--compare`), and the conditions on them that fail a run (`--fail-if`).
import type { Reading } from '../config/reading.js';
import type { Cell, Results } from './results.js';
import { connectionsOf, isSilent, type Metric, metrics, summarise } from './summary.js';

export interface Change extends Omit<Cell, 'rounds'> {
  readonly metric: Metric;
  readonly before: number;
  readonly now: number;
}

/** `p99>+10%`: fails the run if a p99 is more than 10 % above that of the earlier run. */
export interface Condition {
  readonly text: string;
  readonly metric: Metric;
  readonly isAbove: boolean;
  /** 0.1 for `+10%`. */
  readonly by: number;
}

const shape = /^(?<name>[\w.-]+)(?<sign>[<>])(?<by>[+-]?\d+(?:\.\d+)?)%$/;

export function readCondition(text: string): Reading<Condition> {
  const parts = shape.exec(text)?.groups;
  const name = parts?.name === 'p99.9' ? 'p999' : parts?.name;
  const metric = metrics.find((one) => one.name === name);
  if (!parts || !metric) {
    return { refused: `be METRIC>+N% or METRIC<-N% (metrics: ${metrics.map(({ name }) => name).join(', ')})` };
  }
  return { value: { text, metric, isAbove: parts.sign === '>', by: Number(parts.by) / 100 } };
}

/** Changes of the metrics that both runs have, in the order of `now`. */
export function changes(before: Results, now: Results): readonly Change[] {
  return now.cells.flatMap((cell) => {
    const { contender, scenario, connections } = cell;
    const old = cellLike(cell, before);
    return metrics.flatMap((metric) => {
      const [was, is] = [summarise(metric, old), summarise(metric, cell)];
      return was && is ? [{ contender, scenario, connections, metric, before: was.median, now: is.median }] : [];
    });
  });
}

/** The cells of the earlier run that answered requests, and that the later run was to measure, but has no answers of. */
export function lostCells(before: Results, now: Results): readonly Cell[] {
  if (now.interrupted) return [];
  return before.cells.filter((old) => {
    const measured = connectionsOf(now, old.scenario);
    const wasAsked =
      now.contenders.some(({ name }) => name === old.contender) &&
      now.scenarios.some(({ name }) => name === old.scenario) &&
      (measured.length === 0 || measured.includes(old.connections));
    return wasAsked && !isSilent(old) && isSilent(cellLike(old, now) ?? { rounds: [] });
  });
}

function cellLike({ contender, scenario, connections }: Cell, { cells }: Results): Cell | undefined {
  return cells.find(
    (one) => one.contender === contender && one.scenario === scenario && one.connections === connections,
  );
}

/** The changes that meet the condition and so fail the run. */
export function violations(all: readonly Change[], { metric, isAbove, by }: Condition): readonly Change[] {
  return all.filter((one) => {
    if (one.metric !== metric) return false;
    // Tolerates rounding: in floating point 100 × 1.15 is a little less than 115.
    const bound = one.before * (1 + by) * (1 + (isAbove ? 1e-9 : -1e-9));
    return isAbove ? one.now > bound : one.now < bound;
  });
}

/** One line for each change of 5 % or more. */
export function writeChanges(all: readonly Change[]): string {
  const notable = all.filter(
    ({ before, now }) => Math.abs(now - before) >= 0.05 * Math.max(before, now) && now !== before,
  );
  if (notable.length === 0) return 'No metric changed by 5 % or more.';
  return notable.map(writeChange).join('\n');
}

export function writeChange({ contender, scenario, connections, metric, before, now }: Change): string {
  const ratio = before === 0 ? '' : `, × ${(now / before).toFixed(2)}`;
  const good = now === before ? 'the same' : now < before === (metric.better === 'less') ? 'better' : 'worse';
  return `${nameOf({ contender, scenario, connections })}: ${metric.title} ${metric.write(before)} → ${metric.write(now)}${ratio} (${good})`;
}

export function writeLoss(cell: Cell): string {
  return `${nameOf(cell)}: no request answered any more`;
}

function nameOf({ contender, scenario, connections }: Omit<Cell, 'rounds'>): string {
  return `${scenario}, ${contender}, ${connections} conn.`;
}
