// Records when this event loop was blocked, and for how long, so that a slow request can be told what it has waited for. A
// timer that fires late has waited for code that did not return. Runs only while there are connections.
import type { BackgroundTask } from '../activity.js';
import { now } from '../clock.js';

/** Between two looks (milliseconds): a block is measured with this precision. */
const intervalMs = 20;

interface Block {
  readonly end: number;
  readonly ms: number;
}

export class Blocks implements BackgroundTask {
  /** Each is shorter than the one before it: those before a longer one are not the longest in any time up to now. */
  readonly #blocks: Block[] = [];
  #timer: NodeJS.Timeout | undefined;
  #lookedAt = 0;

  start(): void {
    clearInterval(this.#timer);
    this.#lookedAt = now();
    this.#timer = setInterval(() => this.#look(), intervalMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#blocks.length = 0;
  }

  /** The longest block since `time`, of `now()`, the one included that has just ended (whole milliseconds). */
  longestSince(time: number): number {
    let longest = this.#lateness(now());
    for (let i = this.#blocks.length - 1; i >= 0; i--) {
      const { end, ms } = this.#blocks[i] as Block;
      if (end <= time) break;
      longest = Math.max(longest, Math.min(ms, end - time));
    }
    return Math.round(longest);
  }

  #look(): void {
    const end = now();
    const ms = Math.round(this.#lateness(end));
    this.#lookedAt = end;
    if (ms === 0) return;
    while (this.#blocks.length > 0 && (this.#blocks.at(-1) as Block).ms <= ms) this.#blocks.pop();
    this.#blocks.push({ end, ms });
  }

  /** For how long the timer has been late. */
  #lateness(time: number): number {
    return this.#timer === undefined ? 0 : Math.max(0, time - this.#lookedAt - intervalMs);
  }
}
