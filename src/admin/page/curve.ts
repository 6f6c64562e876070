// What each curve shows, and the axis of its values.
import type { RatePoint } from '../live.js';
import { latency, rate } from './format.js';

type Value = number | null;

export interface Line {
  readonly name: string;
  /** A custom property of style/base.css. */
  readonly colour: string;
  readonly dash?: readonly number[];
  readonly isFilled?: boolean;
  readonly of: (point: RatePoint) => Value;
}

export interface Curve {
  readonly title: string;
  readonly isLog?: boolean;
  readonly format: (value: number) => string;
  readonly lines: readonly Line[];
}

const inMs = (ms: number): string => latency(ms).join(' ');

/** A logarithmic axis has no place for 0. */
const atLeast = (ms: Value): Value => (ms === null ? null : Math.max(ms, 0.1));

export const curves: readonly Curve[] = [
  {
    title: 'requests/s',
    format: rate,
    lines: [{ name: 'requests/s', colour: '--accent', isFilled: true, of: ({ requests }) => requests }],
  },
  {
    title: 'latency',
    isLog: true,
    format: inMs,
    lines: [
      { name: 'p50', colour: '--accent', of: ({ p50 }) => atLeast(p50) },
      { name: 'p99', colour: '--warm', dash: [5, 3], of: ({ p99 }) => atLeast(p99) },
    ],
  },
  {
    title: 'errors/s',
    format: rate,
    lines: [{ name: 'errors/s', colour: '--bad', isFilled: true, of: ({ errors }) => errors }],
  },
  {
    title: 'connections',
    format: rate,
    lines: [{ name: 'connections', colour: '--good', isFilled: true, of: ({ connections }) => connections }],
  },
];

/** One of few digits times a power of ten. */
export function niceMax(max: number | null): number {
  if (!max || !Number.isFinite(max)) return 1;
  const power = 10 ** Math.floor(Math.log10(max));
  return ([1, 2, 3, 4, 6, 8, 10].find((digit) => digit * power >= max) ?? 10) * power;
}

export function logRange(min: number | null, max: number | null): [number, number] {
  if (!min || !max) return [1, 100];
  return [
    10 ** Math.floor(Math.log10(min)),
    10 ** Math.max(Math.ceil(Math.log10(max)), Math.floor(Math.log10(min)) + 1),
  ];
}

export function logSplits(min: number, max: number): number[] {
  const decades = Math.round(Math.log10(max / min));
  const each = decades > 3 ? 2 : 1;
  return Array.from({ length: Math.floor(decades / each) + 1 }, (_, i) => min * 10 ** (i * each));
}
