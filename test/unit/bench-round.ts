// A measurement of which only some figures matter.
import type { Latency, Round } from '../../src/bench/results.ts';

export function roundOf(figures: Partial<Round> = {}): Round {
  return {
    requests: 100,
    requestsPerSecond: 50,
    errors: { connection: 0, timeout: 0, status: 0 },
    generatorUtilisation: 0,
    ...figures,
  };
}

export function latencyOf(percentiles: Partial<Latency>): Latency {
  return { p50: 1, p90: 1, p99: 1, p999: 1, max: 1, distribution: [], ...percentiles };
}
