// What a metric is, and what its samples are made from.
import type { Config } from '../config/config.js';
import type { Status, WorkerStatus } from '../control/protocol.js';
import type { GaugeSums } from './gauges.js';
import { bucketMs } from './layout.js';
import type { Counts } from './totals.js';

/** A listening address, and the kernel's queue of its clients. */
export interface ListenerQueue {
  /** As the ready line has it. */
  readonly url: string;
  readonly waiting: number;
  readonly limit: number;
}

/** What the metrics are made of, at one moment. */
export interface Observed {
  readonly status: Status;
  readonly workers: readonly WorkerStatus[];
  readonly counts: Counts;
  readonly gauges: GaugeSums;
  /** In the order of the configuration. */
  readonly routes: readonly ObservedRoute[];
  /** Of TCP, on Linux. */
  readonly queues: readonly ListenerQueue[];
  /** Of the quarantine. */
  readonly quarantine: { readonly refused: number; readonly suspected: number };
  readonly config: Config;
  /** Resident, of the supervisor. */
  readonly memoryBytes: number;
  readonly version: string;
}

export interface ObservedRoute extends Pick<Observed, 'counts' | 'gauges'> {
  readonly match: string;
}

export interface Sample {
  readonly labels?: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Of a histogram: `_bucket`, `_sum` or `_count`. */
  readonly suffix?: string;
}

export interface Definition {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Names of its labels. */
  readonly labels?: readonly string[];
  samples(observed: Observed): readonly Sample[];
}

export const one = (value: number): readonly Sample[] => [{ value }];
export const seconds = (ms: number): number => ms / 1000;

/** A counter for each value of a label, in the order of the counters. */
export function byLabel(label: string, values: readonly string[], counters: readonly number[]): readonly Sample[] {
  return values.map((name, i) => ({ labels: { [label]: name }, value: counters[i] as number }));
}

export function histogram(counters: readonly number[]): readonly Sample[] {
  let count = 0;
  const buckets = [...bucketMs, Number.POSITIVE_INFINITY].map((bound, i) => {
    count += counters[i] as number;
    const le = Number.isFinite(bound) ? String(seconds(bound)) : '+Inf';
    return { labels: { le }, value: count, suffix: '_bucket' };
  });
  const sum = (counters[bucketMs.length + 1] as number) / 1e6;
  return [...buckets, { value: sum, suffix: '_sum' }, { value: count, suffix: '_count' }];
}
