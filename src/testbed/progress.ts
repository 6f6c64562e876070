// The progress of a run on stderr: on a terminal one line that is rewritten in place, elsewhere (a file, CI) one line for
// each step, and for what changes within a step one each 10 s.
import { escapeControls } from '../log/escape.js';

export interface Progress {
  /** The current step. */
  readonly doing: string;
  /** Completed steps that take time, and the total; absent where there is only one step. */
  readonly done?: number;
  readonly all?: number;
  /** The same step as before. */
  readonly isUpdate?: boolean;
}

/** Between two updates where stderr is no terminal (milliseconds). */
const updateIntervalMs = 10_000;

export class ProgressLine {
  readonly #isTerminal = process.stderr.isTTY === true;
  #began = 0;
  #updatedAt = performance.now();

  constructor() {
    process.stderr.on('error', () => {}); // a pipe whose reader has exited must not end the run
  }

  show({ doing, done = 0, all = 0, isUpdate = false }: Progress): void {
    if (isUpdate && !this.#isTerminal) {
      if (performance.now() - this.#updatedAt < updateIntervalMs) return;
      this.#updatedAt = performance.now();
    }
    // The estimate begins with the first step that takes time. `advise` runs several comparisons, each of which counts from 0.
    if (done === 0) this.#began = performance.now();
    const left = done > 0 ? `, ${formatDuration(((performance.now() - this.#began) / done) * (all - done))} left` : '';
    const line = escapeControls(all > 0 ? `${done} of ${all}${left} · ${doing}` : doing);
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
