// The axes of the charts: range and labelled ticks. Everything is computed here; the browser only drops labels that would
// overlap.

export interface Axis {
  readonly isLog: boolean;
  readonly from: number;
  readonly to: number;
  /** Ascending and within the range. */
  readonly ticks: readonly (readonly [value: number, label: string])[];
}

type Format = (value: number) => string;

/** A linear axis from 0 to `max`, rounded up to a whole step. */
export function linear(max: number, format: Format): Axis {
  const step = stepAtLeast(max > 0 ? max / 5 : 1);
  const steps = Math.max(1, Math.ceil(max / step));
  const ticks = Array.from(
    { length: steps + 1 },
    (_, i) => [i * step, i === 0 ? '0' : trimZeros(format(i * step))] as const,
  );
  return { isLog: false, from: 0, to: steps * step, ticks };
}

/** A logarithmic axis; `min` and `max` must be greater than 0. */
export function logarithmic(min: number, max: number, format: Format): Axis {
  const from = stepAtMost(min);
  const to = Math.max(stepAtLeast(max), stepAtLeast(from * 1.5));
  const all = steps.filter((step) => step >= from && step <= to);
  const startingWith = (digits: string) => all.filter((step) => digits.includes(step.toExponential().charAt(0)));
  const shown = [all, startingWith('15')].find(({ length }) => length <= 8) ?? startingWith('1');
  return { isLog: true, from, to, ticks: shown.map((value) => [value, trimZeros(format(value))] as const) };
}

/** A logarithmic axis with ticks at `values` only, which are ascending and greater than 0, and a margin on both sides. */
export function logarithmicAt(values: readonly number[], format: Format): Axis {
  const [min = 1, max = 1] = [values[0], values.at(-1)];
  const margin = (max / min) ** 0.05;
  return {
    isLog: true,
    from: min / margin,
    to: max * margin,
    ticks: values.map((value) => [value, format(value)] as const),
  };
}

/** 1, 2 and 5 times each power of ten from 0.0001 to 10 ** 15, ascending. */
const steps = Array.from({ length: 20 }, (_, i) => [1, 2, 5].map((digit) => Number(`${digit}e${i - 4}`))).flat();

/** The tolerance is for floating point, where 0.3 / 0.1 is not 3. */
function stepAtLeast(value: number): number {
  return steps.find((step) => step * (1 + 1e-6) >= value) ?? value;
}

function stepAtMost(value: number): number {
  return steps.findLast((step) => step * (1 - 1e-6) <= value) ?? value;
}

/** `1 ms` for `1.00 ms`. */
function trimZeros(text: string): string {
  return text.replace(/(\.\d*?)0+(?!\d)/, (_, digits: string) => (digits === '.' ? '' : digits));
}
