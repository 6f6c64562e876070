// Rates between two readings of the counters.
import { answeredIndex, bucketMs, methods, statusClasses } from '../metrics/layout.js';
import type { Counts } from '../metrics/totals.js';
import type { RatePoint } from './live.js';

const serverErrors = statusClasses.indexOf('5xx');

/** @param seconds between the two, greater than 0 */
export function ratesOf(before: Counts, after: Counts, seconds: number): Omit<RatePoint, 'at' | 'connections'> {
  const answered = after.answered.map((count, i) => count - (before.answered[i] ?? 0));
  const durations = after.duration.slice(0, bucketMs.length + 1).map((count, i) => count - (before.duration[i] ?? 0));
  return {
    requests: round(sum(answered) / seconds),
    errors: round(sum(methods.map((_, method) => answered[answeredIndex(method, serverErrors)] ?? 0)) / seconds),
    p50: quantile(durations, 0.5),
    p99: quantile(durations, 0.99),
  };
}

/**
 * Interpolates linearly within a bucket, as Prometheus does. What is longer than the last bound counts as that.
 * @param counts one for each bucket
 */
export function quantile(counts: readonly number[], part: number): number | null {
  const rank = sum(counts) * part;
  if (rank === 0) return null;
  let below = 0;
  for (const [i, to] of bucketMs.entries()) {
    const count = counts[i] ?? 0;
    if (count > 0 && below + count >= rank) {
      const from = bucketMs[i - 1] ?? 0;
      return round(from + (to - from) * ((rank - below) / count));
    }
    below += count;
  }
  return bucketMs.at(-1) ?? null;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

/** To two decimals. */
function round(value: number): number {
  return Math.round(value * 100) / 100;
}
