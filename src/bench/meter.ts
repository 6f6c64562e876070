// Measures a target under load from outside, through /proc: CPU time, memory, and how evenly its workers share the work.
import { cpuOfThreads, cpuSeconds, memoryOfTree, processTree } from '../os/process-tree.js';
import type { RunningTarget } from './target.js';

/** The shortest interval between memory samples; longer where sampling would take over a tenth of the time. */
const memorySampleIntervalMs = 500;

export interface Reading {
  readonly cpuSeconds: number;
  readonly memoryBefore: number;
  readonly peakMemoryBytes: number;
  readonly unfairness: number | undefined;
}

export class Meter {
  readonly #server: RunningTarget;
  readonly #cpuBefore: number;
  readonly #cpuByThreadBefore: ReadonlyMap<number, number>;
  readonly #memoryBefore: number;
  #peakMemory: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(server: RunningTarget) {
    this.#server = server;
    this.#memoryBefore = memoryOfTree(server.pid);
    this.#peakMemory = this.#memoryBefore;
    this.#cpuByThreadBefore = this.#cpuByThread();
    this.#cpuBefore = cpuSeconds(server.pid);
    this.#scheduleSample(memorySampleIntervalMs);
  }

  /** @returns what the target used since the meter was created */
  stop(): Reading {
    clearTimeout(this.#timer);
    const used = cpuSeconds(this.#server.pid) - this.#cpuBefore;
    const unfairness = this.#unfairness();
    this.#sampleMemory();
    return { cpuSeconds: used, memoryBefore: this.#memoryBefore, peakMemoryBytes: this.#peakMemory, unfairness };
  }

  #scheduleSample(ms: number): void {
    const sample = () => this.#scheduleSample(Math.max(memorySampleIntervalMs, this.#sampleMemory() * 9));
    this.#timer = setTimeout(sample, ms);
  }

  /** @returns how long sampling took (milliseconds) */
  #sampleMemory(): number {
    const began = performance.now();
    this.#peakMemory = Math.max(this.#peakMemory, memoryOfTree(this.#server.pid));
    return performance.now() - began;
  }

  /** CPU seconds of each worker's main thread, or of each of its other threads if it has several, by thread id. */
  #cpuByThread(): ReadonlyMap<number, number> {
    const { pid, workers, threads } = this.#server;
    if (workers * threads === 1) return new Map();
    const descendants = processTree(pid).filter((one) => one.pid !== pid);
    return new Map(
      descendants.flatMap(({ pid }) =>
        [...cpuOfThreads(pid)].filter(([id]) => (threads > 1 ? id !== pid : id === pid)),
      ),
    );
  }

  #unfairness(): number | undefined {
    const { workers, threads } = this.#server;
    const used = [...this.#cpuByThread()].map(([id, now]) => now - (this.#cpuByThreadBefore.get(id) ?? 0));
    // Node's own threads use little CPU time, so the busiest ones are the workers'.
    const busiest = used.sort((a, b) => b - a).slice(0, workers * threads);
    const sum = busiest.reduce((sum, one) => sum + one, 0);
    return sum > 0 && busiest.length > 1 ? ((busiest[0] ?? 0) * busiest.length) / sum : undefined;
  }
}
