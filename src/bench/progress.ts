// Where a comparison stands, on one line of a terminal that is written over and over; elsewhere it is silent.
import { escapeControls } from '../log/escape.js';
import type { Progress } from './bench.js';

export class ProgressLine {
  readonly #began = performance.now();
  readonly #isShown = process.stderr.isTTY === true;

  show({ doing, done, all }: Progress): void {
    if (!this.#isShown) return;
    const left = done > 0 ? `, ${words(((performance.now() - this.#began) / done) * (all - done))} left` : '';
    const line = escapeControls(`${done} of ${all}${left} · ${doing}`);
    process.stderr.write(`\r\x1b[K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`);
  }

  clear(): void {
    if (this.#isShown) process.stderr.write('\r\x1b[K');
  }
}

function words(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
