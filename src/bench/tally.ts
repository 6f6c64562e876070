// Counts answers and failures and keeps their latencies, whoever sends the requests.
import { createHistogram } from 'node:perf_hooks';
import type { Report } from './job.js';
import { distribution, type Errors, type Latency } from './results.js';

/** The histogram counts microseconds; nothing takes longer than an hour. */
const longest = 3_600_000_000;

export class Tally {
  readonly #latencies = createHistogram({ lowest: 1, highest: longest, figures: 3 });
  readonly #errors: { -readonly [E in keyof Errors]: number } = { connection: 0, timeout: 0, status: 0 };
  #answers = 0;

  answered(status: number, milliseconds: number): void {
    this.#answers++;
    // What is no number is no status.
    if (!(status >= 200 && status < 400)) this.#errors.status++;
    this.#latencies.record(Math.min(longest, Math.max(1, Math.round(milliseconds * 1000))));
  }

  failed(how: 'connection' | 'timeout'): void {
    this.#errors[how]++;
  }

  report(seconds: number): Omit<Report, 'utilisation'> {
    const latencyMs = this.#answers > 0 ? { latencyMs: this.#latency() } : {};
    return { requests: this.#answers, seconds, errors: { ...this.#errors }, ...latencyMs };
  }

  #latency(): Latency {
    const at = (percentile: number): number =>
      (percentile === 0 ? this.#latencies.min : this.#latencies.percentile(percentile)) / 1000;
    const [p50, p90, p99, p999, max] = [50, 90, 99, 99.9, 100].map(at) as [number, number, number, number, number];
    return { p50, p90, p99, p999, max, distribution: distribution.map(at) };
  }
}
