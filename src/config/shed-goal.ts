// The value of --shed: which share of the responses is to be complete within which time.
import type { Kind } from './kind.js';
import { duration } from './quantity.js';

/** `percent` of the responses are to be complete within `ms` milliseconds. */
export interface ShedGoal {
  readonly percent: number;
  readonly ms: number;
}

const goalTime = duration(10, 3_600_000);

/** `p99=500ms`, or `off`, which is parsed to undefined. */
export const shedGoal: Kind<ShedGoal | undefined, string | false> = {
  metavar: 'pN=TIME',
  range: 'p50 to p99, 10ms to 1h',
  read(raw) {
    if (raw === 'off' || raw === false) return { value: undefined };
    const [, percent, time] = /^p([5-9]\d)=(.*\D)$/.exec(String(raw)) ?? [];
    const reading = goalTime.read(time);
    return percent !== undefined && 'value' in reading
      ? { value: { percent: Number(percent), ms: reading.value } }
      : { refused: 'be a goal such as p99=500ms or p95=2s: p50 to p99, and a time with its unit from 10ms to 1h' };
  },
  write: (value) => (value ? `p${value.percent}=${goalTime.write(value.ms)}` : 'off'),
};
