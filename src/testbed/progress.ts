// The progress of a run, as one terminal line that is rewritten in place. Prints nothing if stderr is not a TTY.
import { escapeControls } from '../log/escape.js';

export interface Progress {
  /** The current step. */
  readonly doing: string;
  /** Completed steps that take time, and the total. */
  readonly done: number;
  readonly all: number;
}

export class ProgressLine {
  readonly #began = performance.now();
  readonly #isShown = process.stderr.isTTY === true;

  show({ doing, done, all }: Progress): void {
    if (!this.#isShown) return;
    const left = done > 0 ? `, ${formatDuration(((performance.now() - this.#began) / done) * (all - done))} left` : '';
    const line = escapeControls(`${done} of ${all}${left} · ${doing}`);
    process.stderr.write(`\r\x1b[K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`);
  }

  clear(): void {
    if (this.#isShown) process.stderr.write('\r\x1b[K');
  }
}

function formatDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
