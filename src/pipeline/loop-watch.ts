// How busy this event loop is. Its timers are watched from the first look on, until there has been no look for a while.
import { type EventLoopUtilization, type IntervalHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { now } from '../clock.js';
import type { LoopView } from '../scoreboard/loop-view.js';

/** Between two timers that are watched (milliseconds). */
const resolution = 20;
/** Without a look for this long its timers are watched no longer (milliseconds). */
const forgottenMs = 120_000;

export class LoopWatch {
  /** At the last look; undefined before the first, which tells of all the time since the start. */
  #used: EventLoopUtilization | undefined;
  #delay: IntervalHistogram | undefined;
  #lookedAt = 0;

  look(): Pick<LoopView, 'utilization' | 'lagMs' | 'heapBytes' | 'heapTotalBytes'> {
    const used = performance.eventLoopUtilization();
    const { utilization } = this.#used ? performance.eventLoopUtilization(used, this.#used) : used;
    this.#used = used;
    const lagMs = this.#lag();
    const { used_heap_size: heapBytes, total_heap_size: heapTotalBytes } = getHeapStatistics();
    return { utilization: clamp(utilization), ...(lagMs && { lagMs }), heapBytes, heapTotalBytes };
  }

  #lag(): LoopView['lagMs'] {
    this.#lookedAt = now();
    if (!this.#delay) {
      this.#delay = monitorEventLoopDelay({ resolution });
      this.#delay.enable();
      this.#stopWhenForgotten();
      return undefined;
    }
    const [p50, p99] = [50, 99].map((percentile) => this.#late(percentile)) as [number, number];
    this.#delay.reset();
    return { p50, p99 };
  }

  /** Beyond the time between two timers (milliseconds). */
  #late(percentile: number): number {
    const ms = (this.#delay?.count ?? 0) > 0 ? (this.#delay as IntervalHistogram).percentile(percentile) / 1e6 : 0;
    return Math.max(0, Math.round((ms - resolution) * 100) / 100);
  }

  #stopWhenForgotten(): void {
    const timer = setInterval(() => {
      if (now() - this.#lookedAt < forgottenMs) return;
      clearInterval(timer);
      this.#delay?.disable();
      this.#delay = undefined;
    }, forgottenMs);
    timer.unref();
  }
}

/** NaN where no time has passed. */
function clamp(part: number): number {
  return Math.min(1, Math.max(0, Math.round(part * 1000) / 1000)) || 0;
}
