// The load of a member as it was last heard of. One that does not tell any more cannot: its event loop does not turn.
// Where the machine is slow, whoever looks is late, too, and what has been said is still unread: only time in which
// there were looks counts as silence.
import { now } from '../clock.js';
import { lookEvery } from './scaler.js';

/** After so many missing reports. */
const missing = 2;

export class HeardLoad {
  #load: number | undefined;
  /** Since the last report or look. */
  #since = 0;
  /** Milliseconds without a report, as far as there were looks. */
  #silentMs = 0;

  /** It is measured from now on: a first report will come. */
  expect(): void {
    this.heard(0);
  }

  heard(load: number): void {
    this.#load = load;
    this.#since = now();
    this.#silentMs = 0;
  }

  /** From 0 to 1; undefined while nobody measures it. To be looked at every `lookEvery` milliseconds. */
  get value(): number | undefined {
    if (this.#load === undefined) return undefined;
    const time = now();
    this.#silentMs += Math.min(lookEvery, time - this.#since);
    this.#since = time;
    return this.#silentMs > missing * lookEvery ? 1 : this.#load;
  }
}
