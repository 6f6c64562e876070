// Durations and sizes: a number with a unit. One table of units for each, largest unit first.
import type { Kind } from './kind.js';

/** `'500ms'`, `'20s'`, `'5m'`, `'1h'`, or a number of seconds. */
export type Duration = number | `${number}` | `${number}${'ms' | 's' | 'm' | 'h'}`;
/** `'16k'`, `'64M'`, `'1G'` in powers of 1024, or a number of bytes. */
export type Size = number | `${number}` | `${number}${'k' | 'K' | 'M' | 'G' | 'T'}`;

type Units = readonly (readonly [suffix: string, factor: number])[];

const times: Units = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
];
const sizes: Units = [
  ['T', 1024 ** 4],
  ['G', 1024 ** 3],
  ['M', 1024 ** 2],
  ['k', 1024],
  ['', 1],
];

/** Milliseconds from `min` to `max`; parsed from `500ms`, `20s`, `5m`, `1h`, or a bare number of seconds. */
export function duration(min: number, max: number): Kind<number, Duration> {
  return quantity('TIME', 'a time such as 500ms, 20s, 5m or 1h, or a number of seconds,', times, 1_000, min, max);
}

/** Bytes from `min` to `max`; parsed from `16k`, `64M`, `1G` (powers of 1024), or a bare number of bytes. */
export function size(min: number, max: number): Kind<number, Size> {
  return quantity('SIZE', 'a size such as 16k, 64M or 1G, or a number of bytes,', sizes, 1, min, max);
}

function quantity<W extends Duration | Size>(
  metavar: string,
  examples: string,
  units: Units,
  bareFactor: number,
  min: number,
  max: number,
): Kind<number, W> {
  const range = `${format(min, units)} to ${format(max, units)}`;
  const refused = `be ${examples} from ${range}`;
  const factors = new Map(units.map(([suffix, factor]) => [suffix.toLowerCase(), factor]));
  factors.set('', bareFactor);
  return {
    metavar,
    range,
    read(raw) {
      if (typeof raw !== 'number' && typeof raw !== 'string') return { refused };
      const parts = /^(\d+(?:\.\d+)?|\.\d+) ?([a-z]*)$/i.exec(String(raw).trim());
      const factor = factors.get((parts?.[2] ?? '').toLowerCase());
      if (!parts || factor === undefined) return { refused };
      // Rounds up: half a millisecond must not become 0, which turns most limits off.
      const value = Math.ceil(Number(parts[1]) * factor);
      return value >= min && value <= max ? { value } : { refused };
    },
    write: (value) => format(value, units) as W,
  };
}

/** Formats `value` in the largest unit that divides it. */
function format(value: number, units: Units): string {
  if (value === 0) return '0';
  const [suffix, factor] = units.find(([, factor]) => value % factor === 0) ?? ['', 1];
  return `${value / factor}${suffix}`;
}
