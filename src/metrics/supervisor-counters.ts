// The supervisor's row of the counters (`layout`), which it writes to the descriptor of the memory: it never maps that.
import type { Reports } from '../reports/reports.js';
import { HostCounters } from './host-counters.js';
import { bytesPerWord, type Group, layout, operations, supervisorRow, wordsPerCounter } from './layout.js';

export class SupervisorCounters extends HostCounters {
  readonly #values = new Map<number, number>();
  readonly #write: (bytes: Uint8Array, position: number) => void;
  /** Not yet written. */
  readonly #changed = new Set<number>();
  #hasEnded = false;

  /** @param write writes to a place in the part of the counters */
  constructor(write: (bytes: Uint8Array, position: number) => void) {
    super();
    this.#write = write;
  }

  override add(group: Group, more = 1, index = 0): void {
    const at = layout.groups[group].first + index;
    this.#values.set(at, (this.#values.get(at) ?? 0) + more);
    // Of a burst of connections that are placed, one write.
    if (this.#changed.size === 0 && !this.#hasEnded) setImmediate(() => this.flush());
    this.#changed.add(at);
  }

  /** Writes what has been counted in this turn of the event loop. */
  flush(): void {
    if (this.#hasEnded) return;
    for (const at of this.#changed) {
      const value = this.#values.get(at) as number;
      const words = new Uint32Array([value % 2 ** 32, Math.floor(value / 2 ** 32)]);
      const position = supervisorRow * layout.rowBytes + at * wordsPerCounter * bytesPerWord;
      this.#write(new Uint8Array(words.buffer), position);
    }
    this.#changed.clear();
  }

  /** Before the memory is closed. */
  end(): void {
    this.flush();
    this.#hasEnded = true;
  }

  /** Counts what is reported from now on. */
  follow(reports: Reports): void {
    const operation = (group: 'done' | 'failed' | 'rolledBack', action: string): void => {
      const index = (operations as readonly string[]).indexOf(action);
      if (index >= 0) this.add(group, 1, index);
    };
    reports.subscribe({
      hung: () => this.add('hangs'),
      'app-crashed': () => this.add('crashes'),
      'request-ended': ({ isWanted, answered }) => {
        if (!isWanted && !answered) this.add('lost');
      },
      'sessions-placed-again': ({ count }) => this.add('placedAgain', count),
      reloaded: () => operation('done', 'reload'),
      switched: () => operation('done', 'switch'),
      upgraded: () => operation('done', 'upgrade'),
      scaled: () => operation('done', 'scale'),
      drained: () => operation('done', 'drain'),
      'operation-failed': ({ action, isRolledBack }) => {
        operation('failed', action);
        if (isRolledBack) operation('rolledBack', action);
      },
    });
  }
}
