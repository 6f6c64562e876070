// Measures the fraction of time with at least one request in flight.
import { now } from '../clock.js';
import type { OnClose, Stage } from './stage.js';

export class BusyClock {
  #inFlight = 0;
  /** Busy time since the last measurement, without the time since `#busySince`. */
  #busyMs = 0;
  /** Valid while requests are in flight. */
  #busySince = 0;
  #measuredAt = now();

  readonly stage: Stage = (next) => (req, res, reqId) => {
    if (this.#inFlight++ === 0) this.#busySince = res.begunAt;
    return next(req, res, reqId);
  };

  readonly onClose: OnClose = () => {
    if (--this.#inFlight === 0) this.#busyMs += now() - this.#busySince;
  };

  /** The busy fraction of the time since the last call, from 0 to 1. */
  takeFraction(): number {
    const time = now();
    const busyMs = this.#busyMs + (this.#inFlight > 0 ? time - this.#busySince : 0);
    const fraction = busyMs / Math.max(1, time - this.#measuredAt);
    this.#busyMs = 0;
    this.#busySince = time;
    this.#measuredAt = time;
    return Math.min(1, fraction);
  }
}
