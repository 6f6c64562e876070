// The load that a member of a pool last reported. A member that stops reporting is busy: its event loop is blocked. If the
// reader itself is late, unread reports may be waiting, so only the time between punctual reads counts as silence.
import { now } from '../clock.js';
import { sampleIntervalMs } from './scaler.js';

const maxMissingReports = 2;

export class ReportedLoad {
  #load: number | undefined;
  /** Time of the last report or read. */
  #updatedAt = 0;
  #silentMs = 0;

  /** The member measures its load from now on. */
  start(): void {
    this.report(0);
  }

  report(load: number): void {
    this.#load = load;
    this.#updatedAt = now();
    this.#silentMs = 0;
  }

  /** From 0 to 1; undefined for a member that does not measure it. Read it every `sampleIntervalMs`. */
  get value(): number | undefined {
    if (this.#load === undefined) return undefined;
    const time = now();
    this.#silentMs += Math.min(sampleIntervalMs, time - this.#updatedAt);
    this.#updatedAt = time;
    return this.#silentMs > maxMissingReports * sampleIntervalMs ? 1 : this.#load;
  }
}
