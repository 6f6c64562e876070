// The axes of the charts: from where to where, and which values are labelled with what. All of it is settled here, so
// that the browser has nothing left to decide but where there is room for a label.

export interface Axis {
  readonly isLog: boolean;
  readonly from: number;
  readonly to: number;
  /** Ascending, within the range. */
  readonly ticks: readonly (readonly [value: number, label: string])[];
}

type Write = (value: number) => string;

/** From 0 to `most` or a little more. */
export function linear(most: number, write: Write): Axis {
  const step = stepAtLeast(most > 0 ? most / 5 : 1);
  const steps = Math.max(1, Math.ceil(most / step));
  const ticks = Array.from(
    { length: steps + 1 },
    (_, i) => [i * step, i === 0 ? '0' : short(write(i * step))] as const,
  );
  return { isLog: false, from: 0, to: steps * step, ticks };
}

/** Both greater than 0. */
export function logarithmic(least: number, most: number, write: Write): Axis {
  const from = stepAtMost(least);
  const to = Math.max(stepAtLeast(most), stepAtLeast(from * 1.5));
  const all: number[] = [];
  for (let value = from; value <= to * 1.01; value = stepAtLeast(value * 1.5)) all.push(value);
  const starting = (...digits: number[]) => all.filter((value) => digits.includes(mantissa(value)));
  const shown = [all, starting(1, 5)].find(({ length }) => length <= 8) ?? starting(1);
  return { isLog: true, from, to, ticks: shown.map((value) => [value, short(write(value))] as const) };
}

/** Just these values, ascending and greater than 0, with some air around them. */
export function only(values: readonly number[], write: Write): Axis {
  const [least = 1, most = 1] = [values[0], values.at(-1)];
  const air = (most / least) ** 0.05;
  return {
    isLog: true,
    from: least / air,
    to: most * air,
    ticks: values.map((value) => [value, write(value)] as const),
  };
}

/** 1, 2 or 5 times a power of ten. A little inexact on purpose: 0.3 / 0.1 is not 3 to a computer. */
function stepAtLeast(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value) + 1e-9);
  return round(([1, 2, 5].find((digit) => digit >= value / power - 1e-6) ?? 10) * power);
}

function stepAtMost(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value) + 1e-9);
  return round(([5, 2, 1].find((digit) => digit <= value / power + 1e-6) ?? 1) * power);
}

function mantissa(value: number): number {
  return Math.round(value / 10 ** Math.floor(Math.log10(value) + 1e-9));
}

function round(value: number): number {
  return Number(value.toPrecision(6));
}

/** `1 ms` for `1.00 ms`. */
function short(text: string): string {
  return text.replace(/(\.\d*?)0+(?!\d)/, (_, digits: string) => (digits === '.' ? '' : digits));
}
