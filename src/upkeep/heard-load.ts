// The load of a member as it was last heard of. One that does not tell any more cannot: its event loop does not turn.
import { now } from '../clock.js';
import { lookEvery } from './scaler.js';

/** After so many missing reports. */
const missing = 2;

export class HeardLoad {
  #load: number | undefined;
  #heardAt = 0;

  /** It is measured from now on: a first report will come. */
  expect(): void {
    this.heard(0);
  }

  heard(load: number): void {
    this.#load = load;
    this.#heardAt = now();
  }

  /** From 0 to 1; undefined while nobody measures it. */
  get value(): number | undefined {
    if (this.#load === undefined) return undefined;
    return now() - this.#heardAt > missing * lookEvery ? 1 : this.#load;
  }
}
