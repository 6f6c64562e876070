// Watches a server from outside while it is under load: processor time, memory, and how evenly its workers share.
import { cpuOfThreads, cpuSeconds, hasProc, memoryOfTree, processTree } from '../os/process-tree.js';
import type { Round } from './results.js';
import type { Running } from './target.js';

/** Memory is looked at so often, and never for more than a tenth of the time (milliseconds). */
const lookEvery = 500;

export type Reading = Pick<Round, 'peakMemoryBytes' | 'unfairness'> & {
  readonly cpuSeconds?: number;
  readonly memoryBefore?: number;
};

export class Meter {
  readonly #server: Running;
  readonly #cpuBefore: number;
  readonly #sharesBefore: ReadonlyMap<number, number>;
  readonly #memoryBefore: number;
  #peak: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(server: Running) {
    this.#server = server;
    this.#memoryBefore = hasProc ? memoryOfTree(server.pid) : 0;
    this.#peak = this.#memoryBefore;
    this.#sharesBefore = this.#shares();
    this.#cpuBefore = hasProc ? cpuSeconds(server.pid) : 0;
    if (hasProc) this.#lookLater(lookEvery);
  }

  /** What was used since the meter was made; empty where there is no /proc. */
  stop(): Reading {
    clearTimeout(this.#timer);
    if (!hasProc) return {};
    const used = cpuSeconds(this.#server.pid) - this.#cpuBefore;
    const unfairness = this.#unfairness();
    this.#look();
    return {
      cpuSeconds: used,
      memoryBefore: this.#memoryBefore,
      peakMemoryBytes: this.#peak,
      ...(unfairness === undefined ? {} : { unfairness }),
    };
  }

  #lookLater(ms: number): void {
    this.#timer = setTimeout(() => this.#lookLater(Math.max(lookEvery, this.#look() * 9)), ms);
  }

  /** @returns for how many milliseconds it looked */
  #look(): number {
    const began = performance.now();
    this.#peak = Math.max(this.#peak, memoryOfTree(this.#server.pid));
    return performance.now() - began;
  }

  /** The processor time of each worker, or of each thread of each, by the id of its thread. */
  #shares(): ReadonlyMap<number, number> {
    const { pid, workers, threads } = this.#server;
    if (!hasProc || workers * threads === 1) return new Map();
    const below = processTree(pid).filter((one) => one.pid !== pid);
    return new Map(
      below.flatMap(({ pid }) => [...cpuOfThreads(pid)].filter(([id]) => (threads > 1 ? id !== pid : id === pid))),
    );
  }

  #unfairness(): number | undefined {
    const { workers, threads } = this.#server;
    const used = [...this.#shares()].map(([id, now]) => now - (this.#sharesBefore.get(id) ?? 0));
    // Node has threads of its own, which do little.
    const busiest = used.sort((a, b) => b - a).slice(0, workers * threads);
    const sum = busiest.reduce((sum, one) => sum + one, 0);
    return sum > 0 && busiest.length > 1 ? ((busiest[0] ?? 0) * busiest.length) / sum : undefined;
  }
}
