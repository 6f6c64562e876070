// The supervisor's row of the counters (`layout`), which it writes to the descriptor of the memory: it never maps that.
import type { Reports } from '../reports/reports.js';
import { bytesPerWord, type Group, layout, operations, supervisorRow, wordsPerCounter } from './layout.js';

export class SupervisorCounters {
  readonly #values = new Map<number, number>();
  readonly #write: (bytes: Uint8Array, position: number) => void;

  /** @param write writes to a place in the part of the counters */
  constructor(write: (bytes: Uint8Array, position: number) => void) {
    this.#write = write;
  }

  /** @param index in its group */
  add(group: Group, index = 0, more = 1): void {
    const at = layout.groups[group].first + index;
    const value = (this.#values.get(at) ?? 0) + more;
    this.#values.set(at, value);
    const words = new Uint32Array([value % 2 ** 32, Math.floor(value / 2 ** 32)]);
    const position = supervisorRow * layout.rowBytes + at * wordsPerCounter * bytesPerWord;
    this.#write(new Uint8Array(words.buffer), position);
  }

  /** Counts what is reported from now on. */
  follow(reports: Reports): void {
    const operation = (group: 'done' | 'failed', action: string): void => {
      const index = (operations as readonly string[]).indexOf(action);
      if (index >= 0) this.add(group, index);
    };
    reports.subscribe({
      'worker-started': () => this.add('workerStarts'),
      'worker-died': () => this.add('workerDeaths'),
      'thread-lost': () => this.add('threadDeaths'),
      hung: () => this.add('hangs'),
      'app-crashed': () => this.add('crashes'),
      'request-ended': ({ isWanted, answered }) => {
        if (!isWanted && !answered) this.add('lost');
      },
      'sessions-placed-again': ({ count }) => this.add('placedAgain', 0, count),
      reloaded: () => operation('done', 'reload'),
      switched: () => operation('done', 'switch'),
      upgraded: () => operation('done', 'upgrade'),
      scaled: () => operation('done', 'scale'),
      drained: () => operation('done', 'drain'),
      'operation-failed': ({ action }) => operation('failed', action),
    });
  }
}
