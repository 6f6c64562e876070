// Counts responses and errors and records latencies, for every kind of load.
import { createHistogram } from 'node:perf_hooks';
import type { Report } from './job.js';
import { distribution, type Errors, type Latency } from './results.js';

/** The upper bound of the latency histogram, an hour (microseconds). */
const maxLatencyMicros = 3_600_000_000;

export class Tally {
  readonly #latencies = createHistogram({ lowest: 1, highest: maxLatencyMicros, figures: 3 });
  readonly #errors: { -readonly [E in keyof Errors]: number } = { connection: 0, timeout: 0, status: 0 };
  #responses = 0;

  recordResponse(status: number, milliseconds: number): void {
    this.#responses++;
    // NaN, where the response was not HTTP, counts as an error as well.
    if (!(status >= 200 && status < 400)) this.#errors.status++;
    this.#latencies.record(Math.min(maxLatencyMicros, Math.max(1, Math.round(milliseconds * 1000))));
  }

  recordError(kind: 'connection' | 'timeout'): void {
    this.#errors[kind]++;
  }

  report(seconds: number): Omit<Report, 'utilisation'> {
    const latencyMs = this.#responses > 0 ? this.#latency() : undefined;
    return { requests: this.#responses, seconds, latencyMs, errors: { ...this.#errors } };
  }

  #latency(): Latency {
    const at = (percentile: number): number =>
      (percentile === 0 ? this.#latencies.min : this.#latencies.percentile(percentile)) / 1000;
    const [p50, p90, p99, p999, max] = [50, 90, 99, 99.9, 100].map(at) as [number, number, number, number, number];
    return { p50, p90, p99, p999, max, distribution: distribution.map(at) };
  }
}
