// Rounds and latencies with defaults for the metrics that a test does not set.
import type { Latency, Round } from '../../src/bench/results.ts';

export function roundOf(metrics: Partial<Round> = {}): Round {
  return {
    requests: 100,
    requestsPerSecond: 50,
    errors: { connection: 0, timeout: 0, status: 0 },
    generatorUtilisation: 0,
    ...metrics,
  };
}

export function latencyOf(percentiles: Partial<Latency>): Latency {
  return { p50: 1, p90: 1, p99: 1, p999: 1, max: 1, distribution: [], ...percentiles };
}
