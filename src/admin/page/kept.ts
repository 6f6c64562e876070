// What the page has been told, for 15 minutes. It outlives a server: the curves go on when its successor answers.
import type { LiveUpdate, LogLine, RatePoint, TimelineEvent } from '../live.js';

export const shownMs = 900_000;
const maxEvents = 200;
const maxLogLines = 200;

export class Kept {
  points: readonly RatePoint[] = [];
  events: readonly TimelineEvent[] = [];
  log: readonly LogLine[] = [];

  /** Of the first of them; undefined if there is none. */
  get since(): number | undefined {
    const first = [this.points[0], this.events[0]].flatMap((one) => one?.at ?? []);
    return first.length > 0 ? Math.min(...first) : undefined;
  }

  /** @param isFirst it has all that the server has, and not only what is new */
  add({ at, points, events, log }: LiveUpdate, isFirst: boolean): void {
    const isShown = (one: { readonly at: number }) => one.at >= at - shownMs;
    this.points = joined(this.points, points, isFirst).filter(isShown);
    this.events = joined(this.events, events, isFirst).filter(isShown).slice(-maxEvents);
    this.log = joined(this.log, log, isFirst).slice(-maxLogLines);
  }
}

/** @param isAll `more` has all since its first: what is older is of a server before this one */
function joined<T extends { readonly at: number }>(
  old: readonly T[],
  more: readonly T[],
  isAll: boolean,
): readonly T[] {
  const [first] = more;
  return isAll && first ? [...old.filter(({ at }) => at < first.at), ...more] : [...old, ...more];
}
