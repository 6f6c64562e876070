// The progress of a run on stderr: on a terminal one line that is rewritten in place, elsewhere (a file, CI) one line for
// each step.
import { escapeControls } from '../log/escape.js';

export interface Progress {
  /** The current step. */
  readonly doing: string;
  /** Completed steps that take time, and the total. */
  readonly done: number;
  readonly all: number;
}

export class ProgressLine {
  readonly #isTerminal = process.stderr.isTTY === true;
  #began = 0;

  constructor() {
    process.stderr.on('error', () => {}); // a pipe whose reader has exited must not end the run
  }

  show({ doing, done, all }: Progress): void {
    // The estimate begins with the first step that takes time. `advise` runs several comparisons, each of which counts from 0.
    if (done === 0) this.#began = performance.now();
    const left = done > 0 ? `, ${formatDuration(((performance.now() - this.#began) / done) * (all - done))} left` : '';
    const line = escapeControls(`${done} of ${all}${left} · ${doing}`);
    if (this.#isTerminal) process.stderr.write(`\r\x1b[K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`);
    else process.stderr.write(`${line}\n`);
  }

  clear(): void {
    if (this.#isTerminal) process.stderr.write('\r\x1b[K');
  }
}

/** In words, to the precision of an estimate: `45 s`, `12 min`, `3 h`. */
export function formatDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 90) return `${seconds} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
