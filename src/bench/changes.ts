// Today's results beside those of an earlier run, as ratios, and the conditions on them that make a run fail.
import type { Reading } from '../config/kind.js';
import type { Results } from './results.js';
import { type Figure, figures, summarise } from './summary.js';

export interface Change {
  readonly contender: string;
  readonly scenario: string;
  readonly connections: number;
  readonly figure: Figure;
  readonly before: number;
  readonly now: number;
}

/** `p99>+10%`: it fails where p99 is more than 10 % above what it was. */
export interface Condition {
  readonly text: string;
  readonly figure: Figure;
  readonly isAbove: boolean;
  /** 0.1 for `+10%`. */
  readonly by: number;
}

const shape = /^(?<name>[\w.-]+)(?<sign>[<>])(?<by>[+-]?\d+(?:\.\d+)?)%$/;

export function readCondition(text: string): Reading<Condition> {
  const parts = shape.exec(text)?.groups;
  const name = parts?.name === 'p99.9' ? 'p999' : parts?.name;
  const figure = figures.find((one) => one.name === name);
  if (!parts || !figure) {
    return { refused: `be FIGURE>+N% or FIGURE<-N%, with a figure of ${figures.map(({ name }) => name).join(', ')}` };
  }
  return { value: { text, figure, isAbove: parts.sign === '>', by: Number(parts.by) / 100 } };
}

/** What both runs have measured, in the order of `now`. */
export function changes(before: Results, now: Results): readonly Change[] {
  return now.cells.flatMap((cell) => {
    const { contender, scenario, connections } = cell;
    const old = before.cells.find(
      (one) => one.contender === contender && one.scenario === scenario && one.connections === connections,
    );
    return figures.flatMap((figure) => {
      const [then, today] = [old && summarise(figure, old), summarise(figure, cell)];
      return then && today
        ? [{ contender, scenario, connections, figure, before: then.median, now: today.median }]
        : [];
    });
  });
}

/** Those of `all` that meet the condition, and so fail the run. */
export function broken(all: readonly Change[], { figure, isAbove, by }: Condition): readonly Change[] {
  return all.filter((one) => {
    if (one.figure !== figure) return false;
    // 100 × 1.15 is a little less than 115 to a computer.
    const bound = one.before * (1 + by) * (1 + (isAbove ? 1e-9 : -1e-9));
    return isAbove ? one.now > bound : one.now < bound;
  });
}

/** A line a change that is worth a look: of 5 % or more. */
export function writeChanges(all: readonly Change[]): string {
  const worth = all.filter(
    ({ before, now }) => Math.abs(now - before) >= 0.05 * Math.max(before, now) && now !== before,
  );
  if (worth.length === 0) return 'No figure changed by 5 % or more.';
  return worth.map(writeChange).join('\n');
}

export function writeChange({ contender, scenario, connections, figure, before, now }: Change): string {
  const ratio = before === 0 ? '' : `, × ${(now / before).toFixed(2)}`;
  const good = now === before ? 'the same' : now < before === (figure.better === 'less') ? 'better' : 'worse';
  const where = `${scenario}, ${contender}, ${connections} conn.`;
  return `${where}: ${figure.title} ${figure.write(before)} → ${figure.write(now)}${ratio} (${good})`;
}
