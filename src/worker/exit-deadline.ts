// By when a worker must have exited, after it was told to drain or could not start. Then it is killed, so the host can wait
// for its exit and needs no timer of its own.
import { migratingReportTimeoutMs, now } from '../clock.js';
import type { Unit } from './runtime.js';

export class ExitDeadline {
  readonly #unit: Unit;
  readonly #kill: (reason: string) => void;
  #killing: NodeJS.Timeout | undefined;
  /** Until when the worker may drain, on the clock of `clock.ts`. */
  #drainBy = Number.POSITIVE_INFINITY;
  /** The time that the worker has to drain; undefined while its connections do not migrate. */
  #migrationMs: number | undefined;

  /** @param kill called when the worker has not ended in time after it was told to drain. @param reason a clause */
  constructor(unit: Unit, kill: (reason: string) => void) {
    this.#unit = unit;
    this.#kill = kill;
  }

  /** The worker drains within `ms` milliseconds; an earlier deadline stays. @param migrates its connections migrate */
  drainWithin(ms: number, migrates: boolean): void {
    if (now() + ms >= this.#drainBy) return;
    if (migrates) this.#migrationMs = ms;
    this.#killAfter(ms);
  }

  /** The connections of the worker still migrate. @returns whether they may: the worker has more time then */
  postpone(): boolean {
    if (this.#migrationMs === undefined) return false;
    this.#killAfter(Math.max(migratingReportTimeoutMs, this.#migrationMs));
    return true;
  }

  /** From now on no connection of the worker migrates. */
  stopMigration(): void {
    this.#migrationMs = undefined;
  }

  /** The worker could not start, and exits by itself. */
  exitsByItself(): void {
    this.#killing ??= setTimeout(() => this.#unit.kill(), this.#unit.exitGraceMs);
  }

  /** The worker has ended. */
  clear(): void {
    clearTimeout(this.#killing);
  }

  #killAfter(ms: number): void {
    const { exitGraceMs } = this.#unit;
    this.#drainBy = now() + ms;
    clearTimeout(this.#killing);
    this.#killing = setTimeout(
      () => this.#kill(`it had not ended ${exitGraceMs} ms after its ${ms} ms to drain`),
      ms + exitGraceMs,
    );
  }
}
