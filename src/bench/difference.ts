// Whether two targets differ in a metric, by their rounds. Both are measured in each round, one after the other, so their
// ratio within a round is free of a drift of the machine's speed.
import { tieThreshold } from './summary.js';

export interface Difference {
  /** Whether the first target has higher values on average. */
  readonly isHigher: boolean;
  /** `unclear`: the rounds spread too far, or are too few, to tell a difference of 5 % from none. */
  readonly result: 'different' | 'same' | 'unclear';
  /** Of `unclear`: about how many rounds with this spread would tell; undefined if a single round has no spread. */
  readonly roundsNeeded?: number;
}

/** The spread is an estimate, too: with this margin the rounds needed are enough in most cases. */
const spreadMargin = 1.1;

/**
 * Compares the 95 % confidence interval of the mean ratio with 5 %, the difference that counts.
 * @param values of one target, by round; `others` of the other target. Rounds that only one has do not count
 */
export function difference(values: readonly number[], others: readonly number[]): Difference {
  const rounds = Math.min(values.length, others.length);
  // A round without a response would be an infinite ratio.
  const floor = Math.max(...values, ...others) / 100;
  const logarithm = (value = 0) => Math.log(Math.max(value, floor));
  const ratios = Array.from({ length: rounds }, (_, i) => logarithm(values[i]) - logarithm(others[i]));
  const mean = ratios.reduce((sum, one) => sum + one, 0) / rounds;
  const deviation = Math.sqrt(ratios.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (rounds - 1));
  const isHigher = mean > 0;
  if (rounds < 2) return { isHigher, result: 'unclear' };
  const distance = Math.abs(mean);
  const counts = -Math.log(1 - tieThreshold);
  const error = standardErrors(rounds) * deviation;
  if (distance >= counts && distance > error) return { isHigher, result: 'different' };
  if (error <= counts) return { isHigher, result: 'same' };
  // Part of the distance may be chance, so the estimate takes it as a standard error smaller.
  const tolerable = Math.max(distance - deviation / Math.sqrt(rounds), counts);
  let roundsNeeded = rounds + 1;
  while (standardErrors(roundsNeeded) * deviation * spreadMargin > tolerable)
    roundsNeeded = Math.ceil(roundsNeeded * 1.05);
  return { isHigher, result: 'unclear', roundsNeeded };
}

/** Half the 95 % confidence interval of the mean of `rounds` values, as a multiple of their standard deviation. */
function standardErrors(rounds: number): number {
  // Student's t: the Cornish-Fisher expansion, within 1 % from three rounds on, 11 % too small for two.
  const freedom = rounds - 1;
  const t = 1.96 + 2.372 / freedom + 2.823 / freedom ** 2 + 2.556 / freedom ** 3 + 1.59 / freedom ** 4;
  return t / Math.sqrt(rounds);
}
