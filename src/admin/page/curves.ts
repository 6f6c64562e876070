// The curves of the last 15 minutes, one above the other on one time axis, with a line at each event of note.
import uPlot from 'uplot';
import type { RatePoint, TimelineEvent } from '../live.js';
import { type Curve, curves, logRange, logSplits, niceMax } from './curve.js';
import { byId, setText } from './dom.js';
import { quantile, rate, time } from './format.js';
import { shownMs } from './kept.js';

const height = 78;
const lastHeight = height + 22;
/** Left of the plots, for their labels; `--gutter` in style/base.css is the same (CSS pixels). */
const gutter = 64;
const margin = 12;
/** The axis of a young server grows with its age, from this on (milliseconds). */
const minShownMs = 120_000;
/** From this age on it does not: points come once a second, so that none is as old as the axis is long (milliseconds). */
const fullMs = shownMs - 3000;
/** Where points are missing for longer, lines end (milliseconds). */
const maxGapMs = 5000;

export class Curves {
  readonly #box = byId('curves');
  readonly #plots: readonly uPlot[];
  #points: readonly RatePoint[] = [];
  #marks: readonly TimelineEvent[] = [];
  /** The point that the keyboard reads. It stays the same while the axis moves. */
  #readAt: number | undefined;
  #range: [number, number] = [Date.now() / 1000 - shownMs / 1000, Date.now() / 1000];

  /** @param strip goes below them */
  constructor(strip: HTMLElement, onResize: () => void) {
    this.#plots = curves.map((curve, i) => {
      const holder = document.createElement('div');
      holder.className = 'curve';
      this.#box.append(holder);
      return new uPlot(this.#options(curve, i === curves.length - 1), [[], ...curve.lines.map(() => [])], holder);
    });
    this.#box.append(strip);
    this.#box.tabIndex = 0;
    new ResizeObserver(() => {
      for (const [i, plot] of this.#plots.entries())
        plot.setSize({ width: this.#box.clientWidth, height: heightOf(i) });
      onResize();
    }).observe(this.#box);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      for (const plot of this.#plots) plot.redraw();
    });
    this.#box.addEventListener('keydown', (event) => this.#step(event));
    this.#box.addEventListener('blur', () => this.#endReading());
  }

  /** @param marks a vertical line for each @param since the first that is known */
  show(points: readonly RatePoint[], marks: readonly TimelineEvent[], since: number, at: number): void {
    this.#points = withGaps(points);
    this.#marks = marks;
    const isFull = at - since > fullMs;
    const from = isFull ? at - shownMs : Math.min(since, at - minShownMs);
    this.#range = [from / 1000, at / 1000];
    setText(byId('curves-title'), isFull ? 'Last 15 minutes' : `Since ${time(since)}`);
    const times = this.#points.map((point) => point.at / 1000);
    for (const [i, { lines }] of curves.entries())
      this.#plots[i]?.setData([
        times,
        ...lines.map(({ of }) => this.#points.map((point) => (isGap(point) ? null : of(point)))),
      ]);
    queueMicrotask(() => this.#moveCursor()); // uPlot has its new axis by then
  }

  /** In CSS pixels from the left of the box; undefined for what is not shown. */
  leftOf(at: number): number | undefined {
    const [from, to] = this.#range;
    if (at / 1000 < from) return undefined;
    const width = this.#box.clientWidth - gutter - margin;
    return gutter + (width * (at / 1000 - from)) / (to - from);
  }

  #options(curve: Curve, isLast: boolean): uPlot.Options {
    const axis = { font: '12px system-ui, sans-serif', stroke: () => colour('--quiet'), ticks: { show: false } };
    const grid = { stroke: () => colour('--line'), width: 1 };
    return {
      width: Math.max(200, this.#box.clientWidth),
      height: isLast ? lastHeight : height,
      padding: [10, margin, isLast ? 0 : 8, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false }, sync: { key: 'curves' } },
      scales: {
        x: { range: () => this.#range },
        y: curve.isLog
          ? { distr: 3, range: (_, min, max) => logRange(min, max) }
          : { range: (_, __, max) => [0, niceMax(max)] },
      },
      axes: [
        {
          ...axis,
          grid,
          incrs: [60, 120, 180],
          size: isLast ? 22 : 0,
          values: (_, all) => all.map((value) => (isLast ? minute(value) : '')),
        },
        {
          ...axis,
          grid,
          size: gutter,
          splits: (_, __, min, max) => (curve.isLog ? logSplits(min, max) : [0, max / 2, max]),
          values: (_, all) => all.map((value) => (value === null ? '' : curve.format(value).replace('.0', ''))),
          filter: (_, all) => [...all],
        },
      ],
      series: [
        {},
        ...curve.lines.map(({ colour: name, dash, isFilled }) => ({
          stroke: () => colour(name),
          width: 1.75,
          dash: dash?.map((length) => length * devicePixelRatio) ?? [],
          ...(isFilled && { fill: () => colour(`${name}-faint`) }),
          points: { show: false },
        })),
      ],
      hooks: {
        drawClear: [(plot) => this.#drawMarks(plot)],
        draw: [(plot) => drawTitle(plot, curve)],
        setCursor: [(plot) => isLast && this.#read(plot.cursor.idx ?? undefined)],
      },
    };
  }

  #drawMarks(plot: uPlot): void {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = colour('--mark');
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([2 * devicePixelRatio, 2 * devicePixelRatio]);
    const [from, to] = this.#range;
    for (const { at } of this.#marks) {
      const left = bbox.left + (bbox.width * (at / 1000 - from)) / (to - from);
      if (left < bbox.left) continue;
      ctx.beginPath();
      ctx.moveTo(left, bbox.top);
      ctx.lineTo(left, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }

  /** @param index of a point; undefined for none */
  #read(index: number | undefined): void {
    const point = index === undefined ? undefined : this.#points[index];
    const isAt = point && !isGap(point) && (this.#plots[0]?.cursor.left ?? -1) >= 0;
    setText(byId('readout'), isAt ? inWords(point) : '');
  }

  #step(event: KeyboardEvent): void {
    if (event.key === 'Escape') this.#endReading();
    const isLeft = event.key === 'ArrowLeft';
    if (!isLeft && event.key !== 'ArrowRight') return;
    event.preventDefault();
    const all = this.#points.filter((point) => !isGap(point));
    const now = all.findIndex(({ at }) => at === this.#readAt);
    const next = now < 0 ? all.length - 1 : now + (isLeft ? -1 : 1);
    this.#readAt = all[next]?.at ?? this.#readAt;
    this.#moveCursor();
  }

  #moveCursor(): void {
    const left = this.#readAt === undefined ? undefined : this.leftOf(this.#readAt);
    if (left !== undefined) this.#setCursor(left - gutter);
    else if (this.#readAt !== undefined) this.#endReading(); // the axis has left it behind
  }

  #endReading(): void {
    this.#readAt = undefined;
    this.#setCursor(-10);
  }

  #setCursor(left: number): void {
    for (const plot of this.#plots) plot.setCursor({ left, top: left < 0 ? -10 : 0 }, true);
  }
}

function inWords({ at, requests, p50, p99, errors, connections }: RatePoint): string {
  const [half, most] = [quantile(p50).join(' '), quantile(p99).join(' ')];
  return `${time(at)}: ${rate(requests)} requests/s, p50 ${half}, p99 ${most}, ${rate(errors)} errors/s, ${connections} connections`;
}

function heightOf(index: number): number {
  return index === curves.length - 1 ? lastHeight : height;
}

/** The colour in this mode, for a canvas. */
function colour(property: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(property).trim();
}

function drawTitle({ ctx, bbox }: uPlot, { title, lines }: Curve): void {
  ctx.save();
  ctx.font = `600 ${12 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textBaseline = 'top';
  ctx.textAlign = 'left';
  let left = bbox.left + 6 * devicePixelRatio;
  const top = bbox.top + 3 * devicePixelRatio;
  // A rim, so that a curve behind a word does not cross it out.
  ctx.strokeStyle = colour('--card');
  ctx.lineWidth = 4 * devicePixelRatio;
  ctx.lineJoin = 'round';
  for (const { name, colour: property } of lines) {
    ctx.fillStyle = colour(property);
    const text = lines.length === 1 ? title : name;
    ctx.strokeText(text, left, top);
    ctx.fillText(text, left, top);
    left += ctx.measureText(text).width + 12 * devicePixelRatio;
  }
  ctx.restore();
}

const isGap = ({ requests }: RatePoint): boolean => Number.isNaN(requests);

function withGaps(points: readonly RatePoint[]): readonly RatePoint[] {
  return points.flatMap((point, i) => {
    const before = points[i - 1];
    if (!before || point.at - before.at <= maxGapMs) return [point];
    return [{ ...before, at: before.at + 1, requests: Number.NaN }, point];
  });
}

function minute(seconds: number): string {
  return time(seconds * 1000).slice(0, 5);
}
